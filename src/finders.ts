import type { CountHoldings } from './commands/holdings.ts'
import { lodgedSince, type ComplaintFinder } from './commands/protection-facts.ts'
import { makeGroup } from './event-store/group.ts'
import type { EventStore } from './event-store/port.ts'
import { complaints } from './projections/complaints/project.ts'
import { complaintsOf } from './projections/complaints/queries.ts'
import { holdingsOf } from './projections/customer-lookup/holdings.ts'
import { customerLookup } from './projections/customer-lookup/project.ts'
import { ModelBuilding, NotCaughtUp, type ReadModels } from './projections/read-models.ts'

// What decisions need of read models, as commands declare it.

/** Complaints that are looked for together: each look is one query and one reading of what the read model lacks. */
const MOST_TOGETHER = 256

/** The complaints of customers: from their read model, and from the log what that has not come to. */
export const makeComplaintFinder = (readModels: ReadModels, store: EventStore): ComplaintFinder =>
  makeGroup(async (asked: readonly (readonly string[])[]) => {
    const { result, asOf } = await readModels.query(complaints, {}, (db, schema) => complaintsOf(db, schema, asked.flat()))
    const all = [...result, ...(await lodgedSince(store, asOf.position))]
    return asked.map((customerIds) => all.filter(({ customerId }) => customerIds.includes(customerId)).map(({ complaintId }) => complaintId))
  }, { most: MOST_TOGETHER }).ask

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
