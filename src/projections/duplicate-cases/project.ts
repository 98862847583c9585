import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { reveal, type Recorded } from '../../domain/decider.ts'
import { StoredReason, type DuplicateCaseEvent } from '../../domain/duplicate-case/duplicate-case.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed } from '../rows.ts'
import { tables, type DuplicateCasesTables } from './tables.ts'

type Row = DuplicateCasesTables['duplicate_case']

const Time = z.date().transform((date) => date.toISOString())
const StoredRow = z.object({
  case_id: z.string(), ordinal: z.string(), one_id: z.string(), other_id: z.string(), status: z.string(), opened_by: z.string(), score: z.number().nullable(),
  reasons: z.array(StoredReason).transform((reasons) => JSON.stringify(reasons)), weights_version: z.number().nullable(), opened_at: Time, judged_at: Time.nullable(), judged_by: z.string().nullable(),
  said: z.string().nullable(), merge_id: z.string().nullable(), revision: z.number(),
})

const evolve = (caseId: string, before: Row | undefined, event: Recorded<DuplicateCaseEvent>, ordinal: bigint): Row | undefined => {
  if (event.type === 'DuplicateCaseOpened') {
    const { customerIds, openedBy, score, reasons, weightsVersion, note } = event.data
    return {
      case_id: caseId, ordinal: before?.ordinal ?? String(ordinal), one_id: customerIds[0], other_id: customerIds[1], status: 'open', opened_by: openedBy, score, reasons: JSON.stringify(reasons),
      weights_version: weightsVersion, opened_at: event.recordedAt, judged_at: null, judged_by: null, said: reveal(note ?? undefined) ?? null, merge_id: null, revision: event.revision,
    }
  }
  if (!before) return undefined
  const judged = { ...before, judged_at: event.recordedAt, judged_by: event.actor, revision: event.revision }
  switch (event.type) {
    case 'DuplicateCaseConfirmed':
      return { ...judged, status: 'confirmed', said: reveal(event.data.note ?? undefined) ?? before.said }
    case 'DuplicateCaseDismissed':
      return { ...judged, status: 'dismissed', said: reveal(event.data.reason) ?? null }
    case 'DuplicateCaseMerged':
      return { ...judged, status: 'merged', merge_id: event.data.mergeId }
  }
}

const caseTable = tableNamed(tables, 'duplicate_case')
const changing = caseTable.columns.map((column) => column.name).filter((name) => name !== 'case_id' && name !== 'ordinal')

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = trx.withSchema(schema).withTables<DuplicateCasesTables>()
  const relevant = events.flatMap((one) => (one.kind === 'duplicateCase' ? [one] : []))
  if (relevant.length === 0) return
  const ids = [...new Set(relevant.map((one) => one.id))]
  const found = await db.selectFrom('duplicate_case').selectAll().where('case_id', '=', sql<string>`any(${ids})`).execute()
  const rows = new Map<string, Row>(z.array(StoredRow).parse(found).map((row) => [row.case_id, row]))
  for (const { id, event, ordinal } of relevant) {
    const after = evolve(id, rows.get(id), event, ordinal)
    if (after) rows.set(id, after)
  }
  await insertRows(trx, schema, caseTable, [...rows.values()], { key: ['case_id'], update: changing })
}

export const duplicateCases: Projection = { model: 'duplicate-cases', version: 1, kinds: ['duplicateCase'], tables, project }
