import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { individual, nextMobile } from './people.ts'

/** What a body may refer to: a customer the caller may work on, with a contact and an identifier. */
export type At = { customerId: string; contactId: string; email: string }
export type Row = { roles: string; body: (at: At) => object; pool?: true }

let ids = 0
const newId = (kind: string) => `${kind}-${(ids += 1)}`
const labels = { en: 'Test', zh: '试' }
const definition = () => ({ labels, criterion: labels, kind: 'individual', template: { fields: [], contactFields: [] } })

// Issue 3, "Who may what", by hand: which roles may send a command at all, with a body that is accepted of who may.
export const commands: Record<string, Row> = {
  'create-customer': { roles: 'clerk manager system', body: () => individual() },
  'change-profile': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, name: '改名' }) },
  'recategorise-customer': { roles: 'manager system', body: ({ customerId }) => ({ customerId, category: 'partner', reason: '改类' }) },
  'add-contact': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, name: '新联系人' }) },
  'change-contact': { roles: 'clerk manager system', body: ({ customerId, contactId }) => ({ customerId, contactId, name: '改联系人' }) },
  'remove-contact': { roles: 'clerk manager system', body: ({ customerId, contactId }) => ({ customerId, contactId, reason: '离职' }) },
  'add-identifier': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, identifier: { kind: 'mobile', value: nextMobile() } }) },
  'change-identifier': { roles: 'clerk manager system', body: ({ customerId, email }) => ({ customerId, from: { kind: 'email', value: email }, to: { kind: 'mobile', value: nextMobile() } }) },
  'release-identifier': { roles: 'clerk manager system', body: ({ customerId, email }) => ({ customerId, identifier: { kind: 'email', value: email }, reason: '停用' }) },
  'claim-ownership': { roles: 'clerk manager system', pool: true, body: ({ customerId }) => ({ customerId, reason: '领取' }) },
  'assign-ownership': { roles: 'manager system', pool: true, body: ({ customerId }) => ({ customerId, to: 'sun', reason: '分配' }) },
  'transfer-ownership': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, to: 'sun', reason: '转交' }) },
  'release-ownership': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, reason: '释放' }) },
  'share-customer': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, employeeId: 'sun', access: 'read' }) },
  'revoke-share': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, employeeId: 'sun' }) },
  'renew-protection': { roles: 'manager system', body: ({ customerId }) => ({ customerId, reason: '延期' }) },
  'lock-protection': { roles: 'manager system', body: ({ customerId }) => ({ customerId, reason: '战略客户' }) },
  'unlock-protection': { roles: 'manager system', body: ({ customerId }) => ({ customerId, reason: '恢复' }) },
  'change-stage': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, to: 'lost' }) },
  'upgrade-tier': { roles: 'clerk manager system', body: ({ customerId }) => ({ customerId, to: 'premier', basis: 'approval', evidence: '行长批准' }) },
  'downgrade-tier': { roles: 'manager system', body: ({ customerId }) => ({ customerId, to: 'standard', basis: 'correction', evidence: '录错' }) },
  'register-department': { roles: 'admin', body: () => ({ name: '新部门', parentId: 'hq' }) },
  'move-department': { roles: 'admin', body: () => ({ departmentId: 'movable', parentId: 'hq' }) },
  'register-employee': { roles: 'admin', body: () => ({ name: '新员工', departmentId: 'hq' }) },
  'move-employee': { roles: 'admin', body: () => ({ employeeId: 'mover', departmentId: 'hq' }) },
  'change-authority-limit': { roles: 'admin', body: () => ({ employeeId: 'mover', authorityLimit: { amount: 100, currency: 'CNY' } }) },
  'depart-employee': { roles: 'admin', body: () => ({ employeeId: 'leaver', reason: '退休' }) },
  'define-category': { roles: 'admin', body: () => ({ categoryId: newId('category'), ...definition() }) },
  'revise-category': { roles: 'admin', body: () => ({ categoryId: 'competitor', ...definition(), reason: '试' }) },
  'define-policy': { roles: 'admin', body: () => ({ policy: 'ownership', value: defaultPolicies.ownership }) },
  'revise-policy': { roles: 'admin', body: () => ({ policy: 'ownership', value: { backdatingDays: 3000 }, reason: '试' }) },
}

/** Commands of later issues: here only their roles are tried; their own tests send bodies. */
export const later: Record<string, string> = {
  'lodge-complaint': 'clerk manager system',
  'reply-to-complaint': 'clerk manager system',
  'record-complaint-action': 'clerk manager system',
  'follow-up-complaint': 'clerk manager system',
  'record-improvement': 'clerk manager system',
  'escalate-complaint': 'clerk manager system',
  'reassign-complaint': 'clerk manager system',
  'reject-resolution': 'clerk manager system',
  'close-complaint': 'clerk manager system',
  'reopen-complaint': 'clerk manager system',
  'record-purchase': 'clerk manager system',
  'record-refund': 'clerk manager system',
  'record-interaction': 'clerk manager system',
  'open-duplicate-case': 'clerk manager system',
  'confirm-duplicate-case': 'clerk manager system',
  'dismiss-duplicate-case': 'clerk manager system',
  'close-duplicate-case': 'system',
  'correct-ownership': 'manager system',
  'report-record': 'clerk manager system',
  'uphold-report': 'manager system',
  'dismiss-report': 'manager system',
  'pass-report-deadline': 'system',
  'settle-dispute': 'system',
  'merge-customers': 'manager system',
  'reverse-merge': 'manager system',
  'pass-complaint-deadline': 'system',
  'lapse-protection': 'system',
  'warn-of-lapse': 'system',
  'end-share': 'system',
  'activate-by-purchase': 'system',
  'assess-spend': 'system',
  'transfer-portfolio': 'manager system',
  'start-handover': 'system',
  'complete-handover': 'system',
  'hand-over-customer': 'system',
}

/** Commands of customers that change one that is there, by what they need. */
export const working = ['change-profile', 'add-contact', 'change-contact', 'remove-contact', 'add-identifier', 'change-identifier', 'release-identifier', 'change-stage', 'upgrade-tier']
export const holding = ['transfer-ownership', 'release-ownership', 'share-customer', 'revoke-share']
export const directing = ['recategorise-customer', 'assign-ownership', 'downgrade-tier', 'renew-protection', 'lock-protection', 'unlock-protection']

/** Queries by operationId, and the roles that may ask them at all; `anyone`: without a token. */
export const queries: Record<string, string> = {
  'find-customers': 'clerk manager system auditor',
  'get-customer': 'clerk manager system auditor',
  'get-ownership': 'clerk manager system auditor',
  'list-protection': 'clerk manager system auditor',
  'get-protection': 'clerk manager system auditor',
  'get-lifecycle': 'clerk manager system auditor',
  'check-duplicates': 'clerk manager system auditor',
  'get-identifier-history': 'manager system auditor',
  'find-duplicate-cases': 'clerk manager system auditor',
  'get-duplicate-case': 'clerk manager system auditor',
  'get-history': 'clerk manager system auditor',
  'get-employee-portfolio': 'clerk manager system auditor',
  'get-department-portfolio': 'manager system auditor',
  'find-record-reports': 'clerk manager system auditor',
  'get-record-report': 'clerk manager system auditor',
  'get-employee-record': 'clerk manager system admin auditor',
  'get-employee-capacity': 'clerk manager system auditor',
  'find-handovers': 'clerk manager system admin auditor',
  'get-handover': 'clerk manager system admin auditor',
  'get-handover-ledger': 'clerk manager system admin auditor',
  'get-events': 'auditor',
  'list-attempts': 'auditor',
  'list-reads': 'auditor',
  'list-employees': 'clerk manager system admin auditor',
  'list-departments': 'clerk manager system admin auditor analyst',
  'list-categories': 'clerk manager system admin auditor analyst',
  'get-category': 'clerk manager system admin auditor analyst',
  'list-policies': 'clerk manager system admin auditor analyst',
  'get-policy': 'clerk manager system admin auditor analyst',
  'lifecycle-funnel': 'system auditor analyst',
  'lifecycle-time-in-stage': 'system auditor analyst',
  'lifecycle-transitions': 'system auditor analyst',
  'lifecycle-tiers': 'system auditor analyst',
  'lifecycle-standing': 'system auditor analyst',
  'get-command': 'clerk manager system admin auditor',
  'list-projections': 'admin auditor',
  metrics: 'system admin auditor',
  'find-complaints': 'clerk manager system auditor',
  'get-complaint': 'clerk manager system auditor',
  'health-live': 'anyone',
  'health-ready': 'anyone',
  'event-schemas': 'anyone',
  'explain-problem': 'anyone',
}
