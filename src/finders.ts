import type { CountHoldings } from './commands/holdings.ts'
import type { ComplaintFinder } from './commands/protection-facts.ts'
import { complaints } from './projections/complaints/project.ts'
import { complaintsOf } from './projections/complaints/queries.ts'
import { holdingsOf } from './projections/customer-lookup/holdings.ts'
import { customerLookup } from './projections/customer-lookup/project.ts'
import { ModelBuilding, NotCaughtUp, type ReadModels } from './projections/read-models.ts'

// What decisions need of read models, as commands declare it.

/** Where the complaints of customers are, as far as their read model has come. */
export const makeComplaintFinder = (readModels: ReadModels): ComplaintFinder => async (customerIds) => {
  const { result, asOf } = await readModels.query(complaints, {}, (db, schema) => complaintsOf(db, schema, customerIds))
  return { complaintIds: result, position: asOf.position }
}

/** The counting that commands are handed: from this read model, as late as they ask. */
export const makeCountHoldings = (readModels: ReadModels): CountHoldings => async (employeeId, { after, ...asked }) => {
  try {
    return (await readModels.query(customerLookup, { after }, (db, schema) => holdingsOf(db, schema, employeeId, asked))).result
  } catch (error) {
    if (error instanceof ModelBuilding) return 'model-building'
    if (error instanceof NotCaughtUp) return 'not-caught-up'
    throw error
  }
}
