import { caseIdOf, duplicateCase, streamName as caseStream } from '../../domain/duplicate-case/duplicate-case.ts'
import type { DomainEvent } from '../../domain/events.ts'
import { recordReport, streamName } from '../../domain/record-report/record-report.ts'
import type { RecordedEvent } from '../../event-store/port.ts'
import { load } from '../load.ts'
import type { Runtime } from '../runtime.ts'
import type { Intent } from './dispatch.ts'

/**
 * What follows from an upheld report of a duplicate: the open case of the two is confirmed, and ownership goes where the
 * judgement said. Keys follow from the report, of which a duplicate is upheld once.
 */
export const reportUpheld = async (runtime: Runtime, one: DomainEvent, stored: RecordedEvent): Promise<Intent[]> => {
  if (one.kind !== 'recordReport' || one.event.type !== 'ReportUpheld') return []
  const { id: reportId, event: { data: { dispute } } } = one
  const { state: report } = await load(runtime, recordReport, streamName(reportId))
  if (report.status === 'none' || report.duplicateOf === null) return []
  const cause = { causationId: stored.id, correlationId: stored.metadata.$correlationId }
  const caseId = caseIdOf([report.customerId, report.duplicateOf])
  const { state: pair } = await load(runtime, duplicateCase, caseStream(caseId))
  return [
    ...(pair.status === 'open' ? [{ command: 'confirm-duplicate-case', key: `report/${reportId}`, body: { caseId }, ...cause }] : []),
    ...(dispute?.to ? [{ command: 'settle-dispute', key: `dispute/${reportId}`, body: { customerId: report.customerId, reportId, to: dispute.to }, ...cause }] : []),
  ]
}
