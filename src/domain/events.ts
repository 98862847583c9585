import { category } from './category/category.ts'
import { complaint, type ComplaintEvent } from './complaint/complaint.ts'
import { customer } from './customer/customer.ts'
import type { CustomerEvent } from './customer/events.ts'
import type { EventSchemas, Recorded } from './decider.ts'
import { department } from './department/department.ts'
import { duplicateCase, type DuplicateCaseEvent } from './duplicate-case/duplicate-case.ts'
import { employee } from './employee/employee.ts'
import { engagement, type EngagementEvent } from './engagement/engagement.ts'
import { handover, type HandoverEvent } from './handover/handover.ts'
import { identity, type IdentityEvent } from './identity/identity.ts'
import type { OrganisationEvent, PolicyReference } from './organisation/organisation.ts'
import { policy } from './policy/policy.ts'
import { portfolio, type PortfolioEvent } from './portfolio/portfolio.ts'
import { purchases, type PurchasesEvent } from './purchases/purchases.ts'
import { recordReport, type RecordReportEvent } from './record-report/record-report.ts'
import { rootLog, type RootEvent } from './root/root.ts'
import * as system from './system/system.ts'
import { upcast } from './upcasters.ts'

/** Every kind of event there is: adding a stream kind is a line in each of the three lists here. */
export type DomainEvent = OrganisationEvent | { kind: 'customer'; id: string; event: Recorded<CustomerEvent> } | { kind: 'identity'; id: string; event: Recorded<IdentityEvent> }
  | { kind: 'duplicateCase'; id: string; event: Recorded<DuplicateCaseEvent> } | { kind: 'complaint'; id: string; event: Recorded<ComplaintEvent> } | { kind: 'purchases'; id: string; event: Recorded<PurchasesEvent> } | { kind: 'engagement'; id: string; event: Recorded<EngagementEvent> }
  | { kind: 'recordReport'; id: string; event: Recorded<RecordReportEvent> } | { kind: 'root'; id: string; event: Recorded<RootEvent> } | { kind: 'handover'; id: string; event: Recorded<HandoverEvent> } | { kind: 'portfolio'; id: string; event: Recorded<PortfolioEvent> }

export const eventSchemas: Record<DomainEvent['kind'], EventSchemas> = {
  system: system.events,
  department: department.events,
  employee: employee.events,
  category: category.events,
  policy: policy.events,
  customer: customer.events,
  identity: identity.events,
  duplicateCase: duplicateCase.events,
  complaint: complaint.events,
  purchases: purchases.events,
  engagement: engagement.events,
  portfolio: portfolio.events,
  recordReport: recordReport.events,
  root: rootLog.events,
  handover: handover.events,
}

/** A stored event as the log gives it, personal values opened. */
export type StoredEvent = {
  stream: string
  revision: number
  type: string
  data: unknown
  metadata: { schemaVersion: number; recordedAt: string; effectiveAt?: string | undefined; actor: string; onBehalfOf?: string | undefined; commandId: string; policies?: PolicyReference[] | undefined }
}

/** What a decider's evolve sees of a stored event. Throws on a wrong shape; undefined for a type it does not know. */
export const recordedEvent = <Event extends { type: string }>(parse: (type: string, data: unknown) => Event | undefined, stored: StoredEvent): Recorded<Event> | undefined => {
  const event = parse(stored.type, upcast(stored.type, stored.metadata.schemaVersion, stored.data))
  return event && asRecorded(event, stored)
}

/** An event with what the log knows of it. */
export const asRecorded = <Event extends { type: string }>(event: Event, { revision, metadata }: Pick<StoredEvent, 'revision' | 'metadata'>): Recorded<Event> => ({
  ...event,
  revision,
  recordedAt: metadata.recordedAt,
  effectiveAt: metadata.effectiveAt ?? metadata.recordedAt,
  actor: metadata.actor,
  onBehalfOf: metadata.onBehalfOf ?? null,
  commandId: metadata.commandId,
  policies: metadata.policies ?? [],
})

/** A stored event by its kind; undefined for a kind or type this program does not know (it is older than the log). */
export const domainEvent = (stored: StoredEvent): DomainEvent | undefined => {
  const hyphen = stored.stream.indexOf('-')
  const kind = stored.stream.slice(0, hyphen)
  const id = stored.stream.slice(hyphen + 1)
  switch (kind) {
    case 'system': {
      const event = recordedEvent(system.parse, stored)
      return event && { kind, event }
    }
    case 'department': {
      const event = recordedEvent(department.parse, stored)
      return event && { kind, id, event }
    }
    case 'employee': {
      const event = recordedEvent(employee.parse, stored)
      return event && { kind, id, event }
    }
    case 'category': {
      const event = recordedEvent(category.parse, stored)
      return event && { kind, id, event }
    }
    case 'policy': {
      const event = recordedEvent(policy.parse, stored)
      return event && { kind, id, event }
    }
    case 'customer': {
      const event = recordedEvent(customer.parse, stored)
      return event && { kind, id, event }
    }
    case 'identity': {
      const event = recordedEvent(identity.parse, stored)
      return event && { kind, id, event }
    }
    case 'duplicateCase': {
      const event = recordedEvent(duplicateCase.parse, stored)
      return event && { kind, id, event }
    }
    case 'complaint': {
      const event = recordedEvent(complaint.parse, stored)
      return event && { kind, id, event }
    }
    case 'purchases': {
      const event = recordedEvent(purchases.parse, stored)
      return event && { kind, id, event }
    }
    case 'engagement': {
      const event = recordedEvent(engagement.parse, stored)
      return event && { kind, id, event }
    }
    case 'portfolio': {
      const event = recordedEvent(portfolio.parse, stored)
      return event && { kind, id, event }
    }
    case 'recordReport': {
      const event = recordedEvent(recordReport.parse, stored)
      return event && { kind, id, event }
    }
    case 'root': {
      const event = recordedEvent(rootLog.parse, stored)
      return event && { kind, id, event }
    }
    case 'handover': {
      const event = recordedEvent(handover.parse, stored)
      return event && { kind, id, event }
    }
    default:
      return undefined
  }
}
