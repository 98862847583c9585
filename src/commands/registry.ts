import type { z } from 'zod'
import * as category from '../domain/category/category.ts'
import { customer, type Customer } from '../domain/customer/customer.ts'
import type { CustomerEvent } from '../domain/customer/events.ts'
import type { Identifier } from '../domain/customer/identifier.ts'
import * as correction from '../domain/customer/correction.ts'
import * as identifiers from '../domain/customer/identifiers.ts'
import { settleDispute, SettleDispute } from '../domain/customer/dispute.ts'
import * as lifecycle from '../domain/customer/lifecycle.ts'
import * as merging from '../domain/customer/merging.ts'
import * as reversing from '../domain/customer/reversing.ts'
import * as ownership from '../domain/customer/ownership.ts'
import * as protecting from '../domain/customer/protecting.ts'
import * as profile from '../domain/customer/profile.ts'
import { EndShare, endShare } from '../domain/customer/shares.ts'
import type { Context, Decider, Decision } from '../domain/decider.ts'
import { complaint, type Complaint, type ComplaintEvent } from '../domain/complaint/complaint.ts'
import * as handling from '../domain/complaint/handling.ts'
import { caseIdOf, duplicateCase, type DuplicateCase, type DuplicateCaseEvent } from '../domain/duplicate-case/duplicate-case.ts'
import * as judging from '../domain/duplicate-case/judging.ts'
import * as department from '../domain/department/department.ts'
import { HandOverCustomer, handOver } from '../domain/customer/hand-over.ts'
import * as handover from '../domain/handover/handover.ts'
import * as employee from '../domain/employee/employee.ts'
import * as engagement from '../domain/engagement/engagement.ts'
import * as policy from '../domain/policy/policy.ts'
import * as reports from '../domain/record-report/judging.ts'
import { recordReport, reportIdOf, type RecordReport, type RecordReportEvent } from '../domain/record-report/record-report.ts'
import * as purchases from '../domain/purchases/purchases.ts'
import type { CommandDefinition } from './definition.ts'
import { placeCorrection } from './correcting.ts'
import { previewHandover } from './handover-plan.ts'
import { previewMerge, previewReversal } from './merge-preview.ts'
import { answerMerge, answerReversal } from './merge-answers.ts'
import { placeWithFacts } from './protection-facts.ts'
import { placeCase, placeClosing, placeWhereBought, placeWhereRecorded, placeReversal } from './placing-beside.ts'
import { placeInGroup, placeMerge, type Fact } from './placing.ts'
import { wouldBeEntered } from './near-matches.ts'
import { register, type Command } from './register.ts'
import { placeReport, placeUphold } from './report-placing.ts'
import { refusalFor, refusalOver, refusalOverEmployee, refusalToHandle, refusalToJudge, refusalToRule, type Right } from './rights.ts'

type Summary = { en: string; zh: string }

const asCustomer = { state: (state: Customer) => state, events: (events: readonly CustomerEvent[]) => events }
const ofContact = (body: { contactId: string }): Fact => body
const ofIdentifier = (body: { identifier: Identifier }): Fact => body

const ofCustomer = <Body extends { customerId?: string | undefined; effectiveAt?: string | undefined }>(
  name: string, summary: Summary, right: Right, schema: z.ZodType<Body>, decide: (state: Customer, body: Body, context: Context) => Decision<CustomerEvent>, factOf?: (body: Body) => Fact, wouldBe?: CommandDefinition<Body, Customer, CustomerEvent>['wouldBe'],
): Command =>
  register<Body, Customer, CustomerEvent>({
    name, summary, right, schema, decide, creates: right === 'enter', ...(wouldBe ? { wouldBe } : {}),
    decider: customer,
    idName: 'customerId',
    target: (body, newId) => body.customerId ?? newId('customer'),
    effectiveAt: (body) => body.effectiveAt,
    ...(right === 'enter' ? {} : { place: (runtime, body, loaded) => placeInGroup(runtime, body, loaded, factOf?.(body)) }),
    asCustomer,
  })

/** What time does by itself to a period of protection, decided on the streams beside the customer's as well. */
const ofProtection = (name: string, summary: Summary, schema: z.ZodType<protecting.PeriodWithFacts>, decide: typeof protecting.lapse): Command =>
  register<protecting.PeriodWithFacts, Customer, CustomerEvent>({
    name, summary, right: 'keep-time', schema, decide, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.customerId,
    place: placeWithFacts,
    asCustomer,
  })

const ofOrganisation = <Body extends object, State, Event extends { type: string; data: object }>(
  decider: Decider<State, Event>, idName: string, target: CommandDefinition<Body, State, Event>['target'],
  name: string, summary: Summary, schema: z.ZodType<Body>, decide: (state: State, body: Body, context: Context) => Decision<Event>, creates = false, preview?: CommandDefinition<Body, State, Event>['preview'],
): Command => register({ name, summary, right: 'configure', schema, decide, decider, idName, target, creates, ...(preview ? { preview } : {}) })

const ofComplaint = <Body extends { complaintId?: string | undefined }>(
  name: string, summary: Summary, right: Right, schema: z.ZodType<Body>, decide: CommandDefinition<Body, Complaint, ComplaintEvent>['decide'], customerOf?: (body: Body) => string | undefined,
): Command =>
  register({
    name, summary, right, schema, decide, creates: right === 'lodge',
    decider: complaint,
    idName: 'complaintId',
    target: (body, newId) => body.complaintId ?? newId('complaint'),
    refusal: (state, _body, caller, organisation) => (right === 'handle' ? refusalToHandle(caller, state, organisation) : undefined),
    ...(customerOf ? { customerOf } : {}),
  })

const ofCase = <Body extends { caseId: string }>(name: string, summary: Summary, right: Right, schema: z.ZodType<Body>, decide: CommandDefinition<Body, DuplicateCase, DuplicateCaseEvent>['decide'], place?: CommandDefinition<Body, DuplicateCase, DuplicateCaseEvent>['place']): Command =>
  register({
    name, summary, right, schema, decide, creates: false, ...(place ? { place } : {}),
    decider: duplicateCase,
    idName: 'caseId',
    target: (body) => body.caseId,
    customersOf: (_body, state) => (state.status === 'none' ? [] : state.customerIds),
    refusal: (_state, _body, caller, organisation, _related, customers) => (right === 'judge' ? refusalToJudge(caller, customers, organisation) : undefined),
  })

const ofReport = <Body extends { reportId: string; moveOwnership?: boolean }>(
  name: string, summary: Summary, right: Right, schema: z.ZodType<Body>, decide: CommandDefinition<Body, RecordReport, RecordReportEvent>['decide'], place?: CommandDefinition<Body, RecordReport, RecordReportEvent>['place'],
): Command =>
  register({
    name, summary, right, schema, decide, creates: false, ...(place ? { place } : {}),
    decider: recordReport,
    idName: 'reportId',
    target: (body) => body.reportId,
    customersOf: (_body, state) => (state.status === 'none' ? [] : [state.customerId, ...(state.duplicateOf === null ? [] : [state.duplicateOf])]),
    refusal: (state, body, caller, organisation, _related, customers) => (right === 'rule' ? refusalToRule(caller, state, customers, body.moveOwnership === true, organisation) : undefined),
  })

const ofHandover = <Body extends { handoverId: string }>(name: string, summary: Summary, schema: z.ZodType<Body>, decide: CommandDefinition<Body, handover.Handover, handover.HandoverEvent>['decide']): Command =>
  register({ name, summary, right: 'keep-time', schema, decide, decider: handover.handover, idName: 'handoverId', target: (body) => body.handoverId, creates: false })

/** What happened with a customer, in a stream beside the customer's own. */
const besideCustomer = <Body extends { customerId: string }, State, Event extends { type: string; data: object }>(
  decider: Decider<State, Event>, name: string, summary: Summary, schema: z.ZodType<Body>, decide: CommandDefinition<Body, State, Event>['decide'],
  { fromOutside = () => false, place }: { fromOutside?: (body: Body) => boolean; place?: CommandDefinition<Body, State, Event>['place'] } = {},
): Command =>
  register({
    name, summary, right: 'record', schema, decide, decider, creates: true, ...(place ? { place } : {}),
    idName: 'customerId',
    target: (body) => body.customerId,
    customerOf: (body) => body.customerId,
    refusal: (_state, body, caller, organisation, related) => (related && !fromOutside(body) ? refusalFor('work', caller, related, organisation) : undefined),
  })

/** Every command there is, a line each: its route, rights, idempotency, OpenAPI entry and metrics follow from it. */
export const registry: readonly Command[] = [
  ofCustomer('create-customer', { en: 'Enter a customer', zh: '新建客户' }, 'enter', profile.CreateCustomer, profile.create, undefined, wouldBeEntered),
  ofCustomer('change-profile', { en: 'Change name and fields', zh: '修改资料' }, 'work', profile.ChangeProfile, profile.changeProfile),
  ofCustomer('recategorise-customer', { en: 'Move to another category', zh: '变更主分类' }, 'direct', profile.RecategoriseCustomer, profile.recategorise),
  ofCustomer('add-contact', { en: 'Add a contact', zh: '添加联系人' }, 'work', profile.AddContact, profile.addContact),
  ofCustomer('change-contact', { en: 'Change a contact', zh: '修改联系人' }, 'work', profile.ChangeContact, profile.changeContact, ofContact),
  ofCustomer('remove-contact', { en: 'Remove a contact', zh: '移除联系人' }, 'work', profile.RemoveContact, profile.removeContact, ofContact),
  ofCustomer('add-identifier', { en: 'Add an identifier', zh: '添加唯一标识' }, 'work', identifiers.AddIdentifier, identifiers.addIdentifier, ofIdentifier),
  ofCustomer('change-identifier', { en: 'Replace an identifier by another', zh: '更换唯一标识' }, 'work', identifiers.ChangeIdentifier, identifiers.changeIdentifier, ({ from }) => ({ identifier: from })),
  ofCustomer('release-identifier', { en: 'Release an identifier', zh: '释放唯一标识' }, 'work', identifiers.ReleaseIdentifier, identifiers.releaseIdentifier, ofIdentifier),
  ofCustomer('claim-ownership', { en: 'Claim from the public pool', zh: '从公海领取' }, 'claim', ownership.ClaimOwnership, ownership.claim),
  ofCustomer('assign-ownership', { en: 'Assign to an employee', zh: '分配归属' }, 'direct', ownership.AssignOwnership, ownership.assign),
  ofCustomer('transfer-ownership', { en: 'Transfer to another owner', zh: '转交' }, 'hold', ownership.TransferOwnership, ownership.transfer),
  ofCustomer('release-ownership', { en: 'Release to the public pool', zh: '释放到公海' }, 'hold', ownership.ReleaseOwnership, ownership.release),
  ofCustomer('share-customer', { en: 'Share with an employee or department', zh: '共享客户' }, 'hold', ownership.ShareCustomer, ownership.share),
  ofCustomer('revoke-share', { en: 'End a share', zh: '取消共享' }, 'hold', ownership.RevokeShare, ownership.revokeShare),
  ofCustomer('end-share', { en: 'The time of a share is over', zh: '共享到期' }, 'keep-time', EndShare, endShare),
  ofProtection('lapse-protection', { en: 'Protection is over', zh: '保护期届满' }, protecting.LapseProtection, protecting.lapse),
  ofProtection('warn-of-lapse', { en: 'Protection ends soon', zh: '保护期将满提醒' }, protecting.WarnOfLapse, protecting.warn),
  ofCustomer('renew-protection', { en: 'Begin the protection anew', zh: '延续保护期' }, 'direct', protecting.RenewProtection, protecting.renew),
  ofCustomer('lock-protection', { en: 'Keep from lapsing', zh: '锁定归属' }, 'direct', protecting.LockProtection, protecting.lock),
  ofCustomer('unlock-protection', { en: 'Let it lapse again', zh: '解除锁定' }, 'direct', protecting.UnlockProtection, protecting.unlock),
  ofCustomer('change-stage', { en: 'Move along the lifecycle', zh: '变更生命周期阶段' }, 'work', lifecycle.ChangeStage, lifecycle.changeStage),
  ofCustomer('upgrade-tier', { en: 'Raise the tier', zh: '升级客户等级' }, 'work', lifecycle.UpgradeTier, lifecycle.upgradeTier),
  ofCustomer('downgrade-tier', { en: 'Lower the tier', zh: '降低客户等级' }, 'direct', lifecycle.DowngradeTier, lifecycle.downgradeTier),
  ofCustomer('activate-by-purchase', { en: 'A first purchase makes a deal', zh: '首购成交' }, 'keep-time', lifecycle.ActivateByPurchase, lifecycle.activateByPurchase),
  ofCustomer('assess-spend', { en: 'Spend speaks for a tier', zh: '消费达标评定' }, 'keep-time', lifecycle.AssessSpend, lifecycle.assessSpend),

  register<correction.Correction, Customer, CustomerEvent>({
    name: 'correct-ownership', summary: { en: 'Correct an entry about the owner', zh: '更正归属记录' }, right: 'direct', schema: correction.CorrectOwnership, decide: correction.correctOwnership, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.customerId,
    effectiveAt: (body) => body.effectiveAt,
    place: placeCorrection,
    customerOf: (body) => body.customerId,
    refusal: (state, body, caller, organisation, survivor) => (survivor ? refusalFor('direct', caller, survivor, organisation) : undefined) ?? refusalOver(caller, correction.changeNamed(state, body.named)?.ownerId ?? null, organisation),
    asCustomer,
  }),
  register<merging.SettledMerge, Customer, CustomerEvent>({
    name: 'merge-customers', summary: { en: 'Make one customer of two', zh: '合并客户' }, right: 'direct', schema: merging.MergeCustomers, decide: merging.mergeCustomers, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.survivorId ?? body.customerIds[0],
    place: placeMerge,
    preview: previewMerge,
    customersOf: ({ settled }) => (settled ? [settled.absorbedId] : []),
    refusal: (_state, _body, caller, organisation, _related, [absorbed]) => (absorbed ? refusalFor('direct', caller, absorbed, organisation) : undefined),
    asCustomer,
  }, answerMerge),
  register<reversing.ReversalWithBeside, Customer, CustomerEvent>({
    name: 'reverse-merge', summary: { en: 'Give back both customers', zh: '撤销合并' }, right: 'direct', schema: reversing.ReverseMerge, decide: reversing.reverseMerge, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.absorbedId,
    place: placeReversal,
    preview: previewReversal,
    customerOf: (body) => body.absorbedId,
    customersOf: (_body, state) => (state.absorption === null ? [] : [state.absorption.into]),
    refusal: (_state, _body, caller, organisation, survivor) => (survivor ? refusalFor('direct', caller, survivor, organisation) : undefined),
    asCustomer,
  }, answerReversal),

  ofComplaint('lodge-complaint', { en: 'Lodge a complaint', zh: '受理投诉' }, 'lodge', handling.LodgeComplaint, handling.lodge, (body) => body.customerId),
  ofComplaint('reply-to-complaint', { en: 'Reply to a complaint', zh: '答复投诉' }, 'handle', handling.ReplyToComplaint, handling.reply),
  ofComplaint('record-complaint-action', { en: 'Record what was done', zh: '记录处理行动' }, 'handle', handling.RecordComplaintAction, handling.act),
  ofComplaint('follow-up-complaint', { en: 'Follow up with the customer', zh: '投诉回访' }, 'handle', handling.FollowUpComplaint, handling.followUp),
  ofComplaint('record-improvement', { en: 'Record what is improved', zh: '记录改进' }, 'handle', handling.RecordImprovement, handling.improve),
  ofComplaint('escalate-complaint', { en: 'Escalate to a higher level', zh: '投诉升级' }, 'handle', handling.EscalateComplaint, handling.escalate),
  ofComplaint('reassign-complaint', { en: 'Give to another handler', zh: '转派投诉' }, 'handle', handling.ReassignComplaint, handling.reassign),
  ofComplaint('reject-resolution', { en: 'The customer rejects the resolution', zh: '客户不接受处理结果' }, 'handle', handling.RejectResolution, handling.rejectResolution),
  ofComplaint('close-complaint', { en: 'Close a complaint', zh: '结案' }, 'handle', handling.CloseComplaint, handling.close),
  ofComplaint('reopen-complaint', { en: 'Reopen a complaint', zh: '重新受理' }, 'handle', handling.ReopenComplaint, handling.reopen),
  ofComplaint('pass-complaint-deadline', { en: 'A deadline has passed', zh: '投诉逾期' }, 'keep-time', handling.PassComplaintDeadline, handling.passDeadline),

  besideCustomer(purchases.purchases, 'record-purchase', { en: 'Record a purchase', zh: '登记购买' }, purchases.RecordPurchase, purchases.recordPurchase, { place: placeWhereBought }),
  besideCustomer(purchases.purchases, 'record-refund', { en: 'Record a refund', zh: '登记退款' }, purchases.RecordRefund, purchases.recordRefund, { place: placeWhereBought }),
  besideCustomer(engagement.engagement, 'record-interaction', { en: 'Record an interaction', zh: '登记互动' }, engagement.RecordInteraction, engagement.recordInteraction, { fromOutside: (body) => body.direction === 'inbound', place: placeWhereRecorded }),

  register<judging.PlacedCase, DuplicateCase, DuplicateCaseEvent>({
    name: 'open-duplicate-case', summary: { en: 'Say that two customers may be one', zh: '提出疑似重复' }, right: 'judge', schema: judging.OpenDuplicateCase, decide: judging.open, creates: true,
    decider: duplicateCase,
    place: placeCase,
    idName: 'caseId',
    target: (body) => caseIdOf(body.customerIds),
    customersOf: (body) => body.customerIds,
  }),
  ofCase('confirm-duplicate-case', { en: 'Two customers are one', zh: '确认重复' }, 'judge', judging.ConfirmDuplicateCase, judging.confirm),
  ofCase('dismiss-duplicate-case', { en: 'Two customers are not one', zh: '排除重复' }, 'judge', judging.DismissDuplicateCase, judging.dismiss),
  ofCase('close-duplicate-case', { en: 'The two have been merged', zh: '重复已合并' }, 'keep-time', judging.CloseDuplicateCase, judging.close, placeClosing),

  register<reports.ReportedRecord, RecordReport, RecordReportEvent>({
    name: 'report-record', summary: { en: 'Report a record as duplicate, in the wrong category or incomplete', zh: '举报客户记录' }, right: 'report', schema: reports.ReportRecord, decide: reports.report, creates: true,
    decider: recordReport,
    idName: 'reportId',
    target: reportIdOf,
    place: placeReport,
    customerOf: (body) => body.customerId,
    customersOf: ({ customerId, duplicateOf }) => (duplicateOf === undefined ? [] : [customerId, duplicateOf]),
  }),
  ofReport<reports.UpheldReport>('uphold-report', { en: 'A report was right', zh: '举报成立' }, 'rule', reports.UpholdReport, reports.uphold, placeUphold),
  ofReport('dismiss-report', { en: 'A report was not right', zh: '驳回举报' }, 'rule', reports.DismissReport, reports.dismiss),
  ofReport('pass-report-deadline', { en: 'A report was not judged in time', zh: '举报逾期未裁定' }, 'keep-time', reports.PassReportDeadline, reports.passDeadline),
  register({
    name: 'settle-dispute', summary: { en: 'The later entry goes to whom the earlier one belongs to', zh: '裁定归属争议' }, right: 'keep-time', schema: SettleDispute, decide: settleDispute, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.customerId,
    asCustomer,
  }),

  register({
    name: 'transfer-portfolio', summary: { en: 'Hand over whom an employee holds', zh: '客户组合转交' }, right: 'direct', schema: handover.TransferPortfolio, decide: handover.transferPortfolio, creates: true,
    decider: handover.handover,
    idName: 'handoverId',
    target: (_body, newId) => newId('handover'),
    refusal: (_state, { from }, caller, organisation) => refusalOverEmployee(caller, from, organisation),
    preview: (runtime, body) => previewHandover(runtime, body.from, body.handover, handover.selectionOf(body, runtime.organisation.current())),
  }),
  ofHandover('start-handover', { en: 'A departure begins a handover', zh: '离职交接开始' }, handover.StartHandover, handover.start),
  ofHandover('complete-handover', { en: 'A handover is complete', zh: '交接完成' }, handover.CompleteHandover, handover.complete),
  register({
    name: 'hand-over-customer', summary: { en: 'Move a customer of a handover', zh: '交接客户' }, right: 'keep-time', schema: HandOverCustomer, decide: handOver, creates: false,
    decider: customer,
    idName: 'customerId',
    target: (body) => body.customerId,
    asCustomer,
  }),

  ofOrganisation(department.department, 'departmentId', (body: z.infer<typeof department.RegisterDepartment>, newId) => body.departmentId ?? newId('department'), 'register-department', { en: 'Register a department', zh: '登记部门' }, department.RegisterDepartment, department.register, true),
  ofOrganisation(department.department, 'departmentId', (body: z.infer<typeof department.MoveDepartment>) => body.departmentId, 'move-department', { en: 'Move a department in the tree', zh: '调整部门' }, department.MoveDepartment, department.move),
  ofOrganisation(employee.employee, 'employeeId', (body: z.infer<typeof employee.RegisterEmployee>, newId) => body.employeeId ?? newId('employee'), 'register-employee', { en: 'Register an employee', zh: '登记员工' }, employee.RegisterEmployee, employee.register, true),
  ofOrganisation(employee.employee, 'employeeId', (body: z.infer<typeof employee.MoveEmployee>) => body.employeeId, 'move-employee', { en: 'Move an employee to another department', zh: '员工调岗' }, employee.MoveEmployee, employee.move),
  ofOrganisation(employee.employee, 'employeeId', (body: z.infer<typeof employee.ChangeAuthorityLimit>) => body.employeeId, 'change-authority-limit', { en: 'Change an authority limit', zh: '调整权限额度' }, employee.ChangeAuthorityLimit, employee.changeAuthorityLimit),
  ofOrganisation(employee.employee, 'employeeId', (body: z.infer<typeof employee.DepartEmployee>) => body.employeeId, 'depart-employee', { en: 'Record a departure', zh: '员工离职' }, employee.DepartEmployee, employee.depart, false, (runtime, body) => previewHandover(runtime, body.employeeId, body.handover)),
  ofOrganisation(category.category, 'categoryId', (body: z.infer<typeof category.DefineCategory>) => body.categoryId, 'define-category', { en: 'Define a category', zh: '定义分类' }, category.DefineCategory, category.define, true),
  ofOrganisation(category.category, 'categoryId', (body: z.infer<typeof category.ReviseCategory>) => body.categoryId, 'revise-category', { en: 'Revise a category', zh: '修订分类' }, category.ReviseCategory, category.revise),
  ofOrganisation(policy.policy, 'policy', (body: z.infer<typeof policy.DefinePolicy>) => body.policy, 'define-policy', { en: 'Define a policy', zh: '制定策略' }, policy.DefinePolicy, policy.define, true),
  ofOrganisation(policy.policy, 'policy', (body: z.infer<typeof policy.RevisePolicy>) => body.policy, 'revise-policy', { en: 'Revise a policy', zh: '修订策略' }, policy.RevisePolicy, policy.revise),
]

const byName = new Map(registry.map((command) => [command.name, command]))

export const commandNamed = (name: string): Command | undefined => byName.get(name)
