import type { FindDue } from './commands/processes/deadlines.ts'
import type { Runtime } from './commands/runtime.ts'
import { complaints } from './projections/complaints/project.ts'
import { dueDeadlines } from './projections/complaints/queries.ts'
import { customerLookup } from './projections/customer-lookup/project.ts'
import { endedShares } from './projections/customer-lookup/queries.ts'
import { dueLapses, dueWarnings, type DuePeriod } from './projections/protection/due.ts'
import { protection } from './projections/protection/project.ts'
import { ModelBuilding, type ReadModels } from './projections/read-models.ts'
import { recordReports } from './projections/record-reports/project.ts'
import { dueReports } from './projections/record-reports/queries.ts'

/** What acts on time, by process: what is due as its read model has it. While that is being built nothing is. */
export const dueByProcess = (runtime: Pick<Runtime, 'organisation'>, readModels: ReadModels): Record<string, FindDue> => {
  const organisation = () => runtime.organisation.current()
  const intentOf = (command: string, word: string) => ({ customerId, ownerId, since, lapsesAt }: DuePeriod) =>
    ({ command, key: `${word}/${customerId}/${since}/${lapsesAt}/${organisation().policies.ownership.version}`, body: { customerId, ownerId, since, lapsesAt } })
  /** Whoever decides asks that model where complaints are: it must have been built. */
  const complaintsAreKnown = () => readModels.query(complaints, {}, async () => undefined)
  const lapseOf = intentOf('lapse-protection', 'lapse')
  const warningOf = intentOf('warn-of-lapse', 'warn')
  return {
    'complaint-deadlines': whenBuilt(async (now, limit) => {
      const { result } = await readModels.query(complaints, {}, (db, schema) => dueDeadlines(db, schema, now, limit))
      return {
        next: result.next,
        due: result.due.map(({ complaintId, step, deadline }) => ({ at: deadline, of: complaintId, intent: { command: 'pass-complaint-deadline', key: `deadline/${complaintId}/${step}/${deadline}`, body: { complaintId, step, deadline } } })),
      }
    }),
    'report-deadlines': whenBuilt(async (now, limit) => {
      const { result } = await readModels.query(recordReports, {}, (db, schema) => dueReports(db, schema, now, limit))
      return { next: result.next, due: result.due.map(({ reportId, deadlineAt }) => ({ at: deadlineAt, of: reportId, intent: { command: 'pass-report-deadline', key: `deadline/${reportId}/${deadlineAt}`, body: { reportId, deadlineAt } } })) }
    }),
    'protection-lapses': whenBuilt(async (now, limit) => {
      const { result } = await readModels.query(protection, {}, (db, schema) => dueLapses(db, schema, organisation(), now, limit))
      if (result.due.length > 0) await complaintsAreKnown()
      return { next: result.next, due: result.due.map((one) => ({ at: one.lapsesAt, of: one.customerId, intent: lapseOf(one) })) }
    }),
    'protection-warnings': whenBuilt(async (now, limit) => {
      const { result } = await readModels.query(protection, {}, (db, schema) => dueWarnings(db, schema, organisation(), now, limit))
      if (result.due.length > 0) await complaintsAreKnown()
      return { next: result.next, due: result.due.map((one) => ({ at: one.lapsesAt, of: one.customerId, intent: warningOf(one) })) }
    }),
    'shares-that-end': whenBuilt(async (now, limit) => {
      const { result } = await readModels.query(customerLookup, {}, (db, schema) => endedShares(db, schema, now, limit))
      return {
        next: result.next,
        due: result.due.map(({ customerId, with: recipient, until }) => ({
          at: until, of: customerId,
          intent: { command: 'end-share', key: `share/${customerId}/${recipient.kind}/${recipient.id}/${until}`, body: { customerId, until, ...(recipient.kind === 'employee' ? { employeeId: recipient.id } : { departmentId: recipient.id }) } },
        })),
      }
    }),
  }
}

const whenBuilt = (find: FindDue): FindDue => async (now, limit) => {
  try {
    return await find(now, limit)
  } catch (error) {
    if (error instanceof ModelBuilding) return { due: [], next: null }
    throw error
  }
}
