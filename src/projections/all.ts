import { complaints } from './complaints/project.ts'
import { customerLookup } from './customer-lookup/project.ts'
import { duplicateCases } from './duplicate-cases/project.ts'
import { duplicates } from './duplicates/project.ts'
import { handovers } from './handovers/project.ts'
import { lifecycle } from './lifecycle/project.ts'
import { ownershipHistory } from './ownership-history/project.ts'
import { protection } from './protection/project.ts'
import type { Projection } from './projection.ts'
import { recordReports } from './record-reports/project.ts'

/** Every read model, a line each. */
export const projections: readonly Projection[] = [customerLookup, duplicates, ownershipHistory, lifecycle, complaints, duplicateCases, recordReports, protection, handovers]

export const projectionNamed = (model: string): Projection | undefined => projections.find((projection) => projection.model === model)
