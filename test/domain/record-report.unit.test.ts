import { describe, expect, it } from 'vitest'
import { customer, type Customer } from '../../src/domain/customer/customer.ts'
import { settleDispute } from '../../src/domain/customer/dispute.ts'
import type { CustomerEvent } from '../../src/domain/customer/events.ts'
import { personal, type Context } from '../../src/domain/decider.ts'
import * as judging from '../../src/domain/record-report/judging.ts'
import { recordReport, reportIdOf, type RecordReport, type RecordReportEvent } from '../../src/domain/record-report/record-report.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { assigned, by, bySystem, claimed, created, departed, field, fold, given, inForce, on, person, recorded, refusedAt, released, sealed, templateVersions, transferred, withCategory, withPolicy, type When } from '../support/given.ts'

type Of<Type extends RecordReportEvent['type']> = Extract<RecordReportEvent, { type: Type }>
type Reported = Of<'RecordReported'>['data']

const of = (...past: (CustomerEvent & When)[]): Customer => fold(customer, past.map(recorded))
const address = { address: sealed(person.address) }
const later = of(created({ enteredBy: 'rival', fields: address }), claimed('rival', { basis: 'first-entry' }))
const earlier = of(created({ fields: address }), claimed('clerk', { basis: 'first-entry' }))
const active = of(created({ stage: 'active', enteredBy: 'rival', fields: { source: 'referral' } }))

const said = personal('customer-c', person.said)
const pair = { customerId: 'c', kind: 'duplicate' as const, duplicateOf: 'e', attemptIds: [], attempts: [], note: person.said }
const wrong = { customerId: 'c', kind: 'wrong-category' as const, categoryId: 'enterprise', attemptIds: [], attempts: [], note: person.said }
const lacking = { customerId: 'c', kind: 'incomplete' as const, attemptIds: [], attempts: [], note: person.said }
const reportId = reportIdOf(pair)

const report = (record: Customer | null = later, records: readonly (Customer | null)[] = [later, earlier]) => (state: RecordReport, command: judging.ReportedRecord, context: Context) => judging.report(state, command, context, record, records)
const uphold = (records: readonly (Customer | null)[] = [later, earlier]) => (state: RecordReport, command: judging.UpheldReport, context: Context) => judging.uphold(state, command, context, null, records)

const nextWeek = '2026-04-01T09:00:00.000Z'
const reported = (more: Partial<Reported> = {}): Of<'RecordReported'> => ({
  type: 'RecordReported',
  data: {
    customerId: 'c', kind: 'incomplete', duplicateOf: null, category: null, missing: ['fields/address', 'fields/importance'], template: [...templateVersions['individual-retail']], match: null, attempts: [],
    against: 'rival', reporterId: 'clerk', note: said, newEvidence: null, deadlineAt: nextWeek, ...more,
  },
})
const duplicate = reported({ kind: 'duplicate', duplicateOf: 'e', missing: [], template: [] })
const fine = { amount: 5000, currency: 'CNY' }
const upheld = (more: Partial<Of<'ReportUpheld'>['data']> = {}): Of<'ReportUpheld'> => ({ type: 'ReportUpheld', data: { against: 'rival', penalty: fine, noPenalty: null, dispute: null, reason: said, ...more } })
const dismissed: Of<'ReportDismissed'> = { type: 'ReportDismissed', data: { reason: said } }
const overdue: Of<'ReportOverdue'> = { type: 'ReportOverdue', data: { deadlineAt: nextWeek } }
const judge = by('chief', { role: 'manager' })
const ruling = { reportId, decision: person.said, moveOwnership: false }

describe('a report of a record', () => {
  it('has an id that follows from record and fault; of a pair whichever is named first', () => {
    expect(reportIdOf({ customerId: 'c', kind: 'duplicate', duplicateOf: 'e' })).toBe(reportIdOf({ customerId: 'e', kind: 'duplicate', duplicateOf: 'c' }))
    expect(new Set([pair, wrong, lacking, { ...lacking, customerId: 'e' }].map(reportIdOf)).size).toBe(4)
  })

  it('names every bad field at once', () => {
    const paths = (body: object) => judging.ReportRecord.safeParse(body).error?.issues.map((issue) => issue.path.join('/')).toSorted()
    expect(paths({ kind: 'duplicate', categoryId: 'x', attemptIds: ['?'], note: ' ' })).toEqual(['attemptIds/0', 'categoryId', 'customerId', 'duplicateOf', 'note'])
    expect(paths({ customerId: 'c', kind: 'wrong-category', duplicateOf: 'c', note: 'x' })).toEqual(['categoryId', 'duplicateOf', 'duplicateOf'])
    expect(paths({ customerId: 'c', kind: 'untidy', note: 'x' })).toContain('kind')
  })

  it('as incomplete says what is missing now, by which template, and is against who entered it', () => {
    given(recordReport, []).when(report(active), lacking).then([reported()], { policies: inForce('penalties', 'stages') })
  })

  it('as in the wrong category says which it is in, and which is right', () => {
    given(recordReport, []).when(report(), wrong).then([reported({ kind: 'wrong-category', category: { in: 'individual-retail', right: 'enterprise' }, missing: [], template: [] })], { policies: inForce('penalties') })
    given(recordReport, []).when(report(), { ...wrong, categoryId: 'nowhere' }).then(refusedAt('unknown-reference', 'categoryId'))
  })

  it('as a duplicate says how alike the two are, in codes, and is against who entered the later one', () => {
    const { decision } = given(recordReport, []).when(report(), pair)
    expect(decision).toMatchObject({ events: [{ data: { customerId: 'c', duplicateOf: 'e', against: 'rival', match: { weightsVersion: 9, score: expect.any(Number), reasons: expect.arrayContaining([expect.objectContaining({ comparison: 'street' })]) } } }], policies: inForce('penalties', 'matching') })
    given(recordReport, []).when(report(), pair).then([reported({ kind: 'duplicate', duplicateOf: 'e', missing: [], template: [], match: expect.any(Object) })])
  })

  it('is refused of what is not there, and of a fault the record does not show', () => {
    given(recordReport, []).when(report(null), lacking).then(refusedAt('customer-not-found', 'customerId'))
    given(recordReport, []).when(report(later, [later, null]), pair).then(refusedAt('customer-not-found', 'duplicateOf'))
    given(recordReport, []).when(report(later), lacking).then(refusedAt('no-such-fault', 'kind'))
    given(recordReport, []).when(report(), { ...wrong, categoryId: 'individual-retail' }).then(refusedAt('no-such-fault', 'categoryId'))
  })

  it('cites refused attempts that ran into the customer, and no others', () => {
    const attempt = { attemptId: 'a', at: on(3), actor: 'clerk', onBehalfOf: null, problem: 'duplicate-customer' }
    given(recordReport, []).when(report(active), { ...lacking, attemptIds: ['a', 'b'], attempts: [attempt, undefined] }).then(refusedAt('unknown-reference', 'attemptIds/1'))
    given(recordReport, []).when(report(active), { ...lacking, attemptIds: ['a'], attempts: [attempt] }).then([reported({ attempts: [attempt] })])
  })

  it('is against nobody where a system entered the record for nobody, and may be made by a system for nobody', () => {
    given(recordReport, []).when(report(of(created({ stage: 'active', enteredBy: null, fields: { source: 'referral' } }))), lacking, bySystem()).then([reported({ against: null, reporterId: null })])
  })

  it('is to be judged by when the policy says, which may be part of a day', () => {
    const hours = withPolicy('penalties', { ...defaultPolicies.penalties, deadlineDays: 0.5 })
    given(recordReport, []).when(report(active), lacking, by('clerk', { organisation: hours })).then([reported({ deadlineAt: '2026-03-25T21:00:00.000Z' })])
  })

  it('made again while it waits changes nothing, whoever makes it', () => {
    for (const past of [[reported()], [reported(), overdue]]) given(recordReport, past).when(report(active), lacking, by('colleague')).then([])
  })

  it('that was dismissed is made again by who says what is new', () => {
    given(recordReport, [reported(), dismissed]).when(report(active), lacking).then(refusedAt('reason-required', 'newEvidence'))
    given(recordReport, [reported(), dismissed]).when(report(active), { ...lacking, newEvidence: person.said }).then([reported({ newEvidence: said })])
  })

  it('that was upheld is not made again, but for what is missing besides, or in another category', () => {
    given(recordReport, [duplicate, upheld()]).when(report(), { ...pair, newEvidence: person.said }).then({ rejected: 'fault-upheld' })
    given(recordReport, [reported(), upheld()]).when(report(active), { ...lacking, newEvidence: person.said }).then({ rejected: 'fault-upheld' })
    // What was upheld stays upheld, whatever was dismissed since.
    const more = reported({ missing: ['fields/address', 'fields/source'] })
    given(recordReport, [reported(), upheld(), more, dismissed]).when(report(active), { ...lacking, newEvidence: person.said }).then({ rejected: 'fault-upheld' })
    const asksMore = withCategory({ categoryId: 'individual-retail', version: 2, fields: [field('source'), field('passport', { requiredFrom: 'prospect' })] })
    given(recordReport, [reported(), upheld()]).when(report(active), lacking, by('clerk', { organisation: asksMore })).then([reported({ missing: ['fields/passport'], template: [{ categoryId: 'individual-retail', version: 2 }] })])
  })
})

describe('the judgement of a report', () => {
  it('costs who is answerable what the policy says', () => {
    given(recordReport, [reported()]).when(uphold(), ruling, judge).then([upheld()], { policies: inForce('penalties') })
    given(recordReport, [reported(), overdue]).when(uphold(), ruling, judge).then([upheld()])
    const dear = withPolicy('penalties', { amounts: { duplicate: null, wrongCategory: { amount: 200, currency: 'HKD' }, incomplete: fine }, deadlineDays: 7 })
    given(recordReport, [reported({ kind: 'wrong-category', category: { in: 'individual-retail', right: 'enterprise' } })]).when(uphold(), ruling, by('chief', { role: 'manager', organisation: dear })).then([upheld({ penalty: { amount: 200, currency: 'HKD' } })])
    given(recordReport, [duplicate]).when(uphold(), ruling, by('chief', { role: 'manager', organisation: dear })).then([upheld({ penalty: null, noPenalty: 'policy' })])
  })

  it('costs nobody anything where nobody known here is answerable, and says so', () => {
    for (const against of [null, 'somebody-elsewhere']) {
      const ruled = given(recordReport, [reported({ against })]).when(uphold(), ruling, judge)
      ruled.then([upheld({ against, penalty: null, noPenalty: 'nobody-answerable' })])
      expect(ruled.decision).toMatchObject({ warnings: [{ warning: 'no-penalty' }] })
    }
  })

  it('is one: what was upheld is not dismissed, nor the other way round', () => {
    given(recordReport, [reported(), upheld()]).when(judging.dismiss, { reportId, reason: person.said }, judge).then({ rejected: 'report-judged', extensions: { judgement: 'upheld' } })
    given(recordReport, [reported(), dismissed]).when(uphold(), ruling, judge).then({ rejected: 'report-judged', extensions: { judgement: 'dismissed' } })
    given(recordReport, [reported(), upheld()]).when(uphold(), ruling, judge).then([])
    given(recordReport, [duplicate, upheld()]).when(uphold(), { ...ruling, moveOwnership: true }, judge).then({ rejected: 'report-judged' })
    given(recordReport, [reported()]).when(judging.dismiss, { reportId, reason: person.said }, judge).then([dismissed], { policies: inForce('penalties') })
    given(recordReport, []).when(uphold(), ruling, judge).then({ rejected: 'report-not-found' })
    given(recordReport, []).when(judging.dismiss, { reportId, reason: person.said }, judge).then({ rejected: 'report-not-found' })
  })

  it('gives the later entry to the owner of the earlier one, else to who entered that', () => {
    const asked = { ...ruling, moveOwnership: true }
    given(recordReport, [duplicate]).when(uphold(), { ...asked, earlier: { customerId: 'e', ownerId: 'colleague' } }, judge).then([upheld({ dispute: { to: 'colleague', unmoved: null } })])
    given(recordReport, [duplicate]).when(uphold(), { ...asked, earlier: { customerId: 'e', ownerId: null } }, judge).then([upheld({ dispute: { to: 'clerk', unmoved: null } })])
    given(recordReport, [reported()]).when(uphold(), asked, judge).then(refusedAt('no-dispute', 'moveOwnership'))
  })

  it.each([
    { why: 'owner-departed', earlier: { customerId: 'e', ownerId: 'gone' }, records: [later, earlier] },
    { why: 'owner-unknown', earlier: { customerId: 'e', ownerId: null }, records: [later, of(created({ enteredBy: null }))] },
    { why: 'owner-unknown', earlier: { customerId: 'e', ownerId: null }, records: [later, of(created({ enteredBy: 'somebody-elsewhere' }))] },
    { why: 'held-already', earlier: { customerId: 'e', ownerId: 'rival' }, records: [later, earlier] },
    { why: 'merged-since', earlier: { customerId: 'c', ownerId: 'rival' }, records: [later, earlier] },
    { why: 'merged-since', earlier: { customerId: 'e', ownerId: 'clerk' }, records: [{ ...later, absorption: { mergeId: 'm', into: 'e' } }, earlier] },
  ] as const)('leaves ownership where it is and says why: $why', ({ why, earlier: standing, records }) => {
    const ruled = given(recordReport, [duplicate]).when(uphold(records), { ...ruling, moveOwnership: true, earlier: standing }, judge)
    ruled.then([upheld({ dispute: { to: null, unmoved: why } })])
    expect(ruled.decision).toMatchObject({ warnings: [{ warning: 'ownership-unmoved', because: why }] })
  })

  it('that does not come in time is recorded as that, once', () => {
    const late = { now: nextWeek }
    given(recordReport, [reported()]).when(judging.passDeadline, { reportId, deadlineAt: nextWeek }, bySystem(null, late)).then([overdue])
    given(recordReport, [reported()]).when(judging.passDeadline, { reportId, deadlineAt: nextWeek }).then({ rejected: 'not-due' })
    for (const past of [[reported(), overdue], [reported(), dismissed], [reported({ deadlineAt: on(30) })]]) given(recordReport, past).when(judging.passDeadline, { reportId, deadlineAt: nextWeek }, bySystem(null, late)).then([])
    given(recordReport, []).when(judging.passDeadline, { reportId, deadlineAt: nextWeek }).then({ rejected: 'report-not-found' })
  })
})

describe('a dispute over who was first', () => {
  const settle = { customerId: 'c', reportId, to: 'clerk' }
  const entered = [created(), claimed('rival', { basis: 'first-entry' })]
  const moved: CustomerEvent = { type: 'OwnershipTransferred', data: { from: 'rival', ownerId: 'clerk', basis: 'dispute', reason: null, reportId } }

  it('moves the record once for each report, from the owner or out of the pool', () => {
    given(customer, entered).when(settleDispute, settle).then([moved], { policies: inForce('ownership', 'penalties') })
    given(customer, [...entered, released('rival')]).when(settleDispute, settle).then([{ type: 'OwnershipAssigned', data: { ownerId: 'clerk', basis: 'dispute', reason: null, reportId } }])
    given(customer, [...entered, moved, transferred('clerk', 'colleague')]).when(settleDispute, settle).then([])
    given(customer, [...entered, moved, transferred('clerk', 'rival')]).when(settleDispute, { ...settle, reportId: reportIdOf(lacking) }).then([{ ...moved, data: { ...moved.data, reportId: reportIdOf(lacking) } }])
  })

  it('moves nothing where there is nothing to move, or nobody to move it to', () => {
    given(customer, [created(), assigned('clerk')]).when(settleDispute, settle).then([])
    given(customer, [...entered, { type: 'CustomerAbsorbed', data: { mergeId: 'm', into: 'e' } }]).when(settleDispute, settle).then([])
    given(customer, []).when(settleDispute, settle).then({ rejected: 'customer-not-found' })
    given(customer, entered).when(settleDispute, { ...settle, to: 'gone' }).then({ rejected: 'employee-departed' })
    given(customer, entered).when(settleDispute, settle, by('manager', { organisation: departed('clerk') })).then({ rejected: 'employee-departed' })
  })
})
