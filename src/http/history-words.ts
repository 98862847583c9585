import type { ComplaintEvent } from '../domain/complaint/complaint.ts'
import type { CustomerEvent } from '../domain/customer/events.ts'
import type { EngagementEvent } from '../domain/engagement/engagement.ts'
import type { PurchasesEvent } from '../domain/purchases/purchases.ts'
import type { RecordReportEvent } from '../domain/record-report/record-report.ts'
import type { Money } from '../domain/values.ts'

/** The events a customer's history is told of: its own, and those of its complaints, reports, purchases and contacts. */
export type ToldEvent = CustomerEvent | ComplaintEvent | RecordReportEvent | PurchasesEvent | EngagementEvent
type ToldData = { [Event in ToldEvent as Event['type']]: Event['data'] }
export const languages = ['en', 'zh'] as const
export type Language = (typeof languages)[number]
type Words = Record<Language, string>

const money = ({ amount, currency }: Money): string => `${(amount / 100).toFixed(2)} ${currency}`
const owner = (id: string | null, pool: string): string => id ?? pool
const departed = (basis: string): Words => (basis === 'departure' ? { en: ', who departed', zh: '（离职交接）' } : { en: '', zh: '' })
const list = (items: readonly string[]): string => items.join(', ')
const fieldsOf = (data: { name?: unknown; fields: object }): string => list([...('name' in data && data.name !== undefined ? ['name'] : []), ...Object.keys(data.fields)])
const withWhom = ({ kind, id }: { kind: 'employee' | 'department'; id: string }): Words => ({ en: `${kind} ${id}`, zh: `${kind === 'employee' ? '员工' : '部门'} ${id}` })
const claimed = { 'first-entry': { en: 'by entering it first', zh: '首次录入' }, claim: { en: 'from the public pool', zh: '自公海领取' } }
const disputed = (basis: string): Words => (basis === 'dispute' ? { en: ', who was first by an upheld report', zh: '（举报成立，先录先得）' } : { en: '', zh: '' })
const faults = { duplicate: { en: 'a duplicate', zh: '重复录入' }, 'wrong-category': { en: 'in the wrong category', zh: '分类错误' }, incomplete: { en: 'incomplete', zh: '资料不全' } }
const unmoved = { 'owner-unknown': '先录入方无已知归属人', 'owner-departed': '先录入方归属人已离职', 'held-already': '已归其所有', 'merged-since': '两者已合并' }
const releasedBy = (from: string) => ({ 'voluntary-release': { en: `Released by ${from}`, zh: `${from} 释放` }, 'protection-lapsed': { en: `Lapsed from ${from}`, zh: `${from} 保护期届满，收回` }, transfer: { en: `Handed over from ${from}`, zh: `${from} 的客户移交` }, departure: { en: `Handed over from ${from}, who departed,`, zh: `${from} 离职，移交` } })
const steps = { accept: '受理', reply: '答复', act: '行动', 'follow-up': '回访', improve: '改进' }
const escalations = { 'beyond-authority': '超出权限', 'serious-harm': '可能造成严重损害', 'several-departments': '涉及多个部门', 'rejected-resolution': '客户不接受处理结果', 'deadline-passed': '逾期' }

/**
 * What happened, in words, for every type of event. Values about a person are not in them: those are shown beside, as
 * far as they are still there. A new event type is a line here, which the compiler asks for.
 */
const words: { [Type in keyof ToldData]: (data: ToldData[Type]) => Words } = {
  CustomerCreated: ({ category, stage, tier, enteredBy }) => ({ en: `Entered as ${category}, stage ${stage}, tier ${tier}${enteredBy === null ? '' : `, by ${enteredBy}`}`, zh: `录入客户：分类 ${category}，阶段 ${stage}，等级 ${tier}${enteredBy === null ? '' : `，录入人 ${enteredBy}`}` }),
  ProfileChanged: (data) => ({ en: `Changed: ${fieldsOf(data)}`, zh: `修改资料：${fieldsOf(data)}` }),
  CustomerRecategorised: ({ from, to }) => ({ en: `Moved from category ${from} to ${to}`, zh: `主分类由 ${from} 变更为 ${to}` }),
  ContactAdded: ({ contactId }) => ({ en: `Contact ${contactId} added`, zh: `添加联系人 ${contactId}` }),
  ContactChanged: (data) => ({ en: `Contact ${data.contactId} changed: ${fieldsOf(data)}`, zh: `修改联系人 ${data.contactId}：${fieldsOf(data)}` }),
  ContactRemoved: ({ contactId }) => ({ en: `Contact ${contactId} removed`, zh: `移除联系人 ${contactId}` }),
  IdentifierAdded: ({ kind }) => ({ en: `An identifier was added: ${kind}`, zh: `添加唯一标识：${kind}` }),
  IdentifierReleased: ({ kind }) => ({ en: `An identifier was released: ${kind}`, zh: `释放唯一标识：${kind}` }),
  EntryAbandoned: ({ by }) => ({ en: `What had been reserved for it so far became void (attempt of ${by})`, zh: `此前的标识预留作废（${by} 的尝试）` }),
  OwnershipClaimed: ({ ownerId, basis }) => ({ en: `${ownerId} took it ${claimed[basis].en}`, zh: `${ownerId} 取得归属：${claimed[basis].zh}` }),
  OwnershipAssigned: ({ ownerId, basis }) => ({ en: `Assigned to ${ownerId}${disputed(basis).en}`, zh: `分配给 ${ownerId}${disputed(basis).zh}` }),
  OwnershipTransferred: ({ from, ownerId, basis }) => ({ en: `Transferred from ${from}${departed(basis).en} to ${ownerId}${disputed(basis).en}`, zh: `由 ${from} 转交给 ${ownerId}${departed(basis).zh}${disputed(basis).zh}` }),
  OwnershipReleased: ({ from, basis, lapse }) => ({ en: `${releasedBy(from)[basis].en} to the public pool${lapse ? `: protected since ${lapse.protectedSince}, for ${lapse.days} days` : ''}`, zh: `${releasedBy(from)[basis].zh}到公海${lapse ? `：自 ${lapse.protectedSince} 起保护 ${lapse.days} 天` : ''}` }),
  OwnershipCorrected: ({ from, ownerId, correctsRevision }) => ({ en: `An entry about its owner was corrected (revision ${correctsRevision}): not ${owner(from, 'the pool')} but ${owner(ownerId, 'the pool')}`, zh: `更正归属记录（第 ${correctsRevision} 号）：应为 ${owner(ownerId, '公海')}，而非 ${owner(from, '公海')}` }),
  CustomerShared: ({ with: other, access, until }) => ({ en: `Shared with ${withWhom(other).en} to ${access}${until === undefined ? '' : ` until ${until}`}`, zh: `共享给${withWhom(other).zh}（${access === 'read' ? '只读' : '可跟进'}${until === undefined ? '' : `，至 ${until}`}）` }),
  ShareRevoked: ({ with: other, cause }) => ({ en: `No longer shared with ${withWhom(other).en}${cause ? ': its time was over' : ''}`, zh: cause ? `对${withWhom(other).zh}的共享到期` : `取消对${withWhom(other).zh}的共享` }),
  ProtectionLapseWarned: ({ ownerId, protectedSince, lapsesAt }) => ({ en: `${ownerId} was warned that the protection that began ${protectedSince} lapses ${lapsesAt}`, zh: `提醒 ${ownerId}：自 ${protectedSince} 起的保护期将于 ${lapsesAt} 届满` }),
  ProtectionRenewed: ({ ownerId }) => ({ en: `The protection for ${ownerId} began anew`, zh: `${ownerId} 的保护期重新起算` }),
  ProtectionLocked: ({ until }) => ({ en: `Cannot lapse ${until === null ? 'until it is unlocked' : `until ${until}`}`, zh: `锁定归属${until === null ? '' : `，至 ${until}`}` }),
  ProtectionUnlocked: () => ({ en: 'May lapse again', zh: '解除归属锁定' }),
  StageChanged: ({ from, to, move, cause }) => ({ en: `Went from stage ${from} to ${to} (${move})${cause === 'purchase' ? ', by a purchase' : ''}`, zh: `阶段由 ${from} 变为 ${to}（${move}）${cause === 'purchase' ? '，因购买' : ''}` }),
  TierUpgraded: ({ from, to, basis }) => ({ en: `Raised from tier ${from} to ${to}, on ${basis}`, zh: `等级由 ${from} 升为 ${to}，依据 ${basis}` }),
  TierUpgradeProposed: ({ from, to, basis }) => ({ en: `Speaks for a rise from tier ${from} to ${to}, on ${basis}`, zh: `建议等级由 ${from} 升为 ${to}，依据 ${basis}` }),
  TierDowngraded: ({ from, to, basis }) => ({ en: `Lowered from tier ${from} to ${to}, on ${basis}`, zh: `等级由 ${from} 降为 ${to}，依据 ${basis}` }),
  MergeStarted: ({ absorbedId, survivorBy }) => ({ en: `Began to take in ${absorbedId} as the same customer (survivor by ${survivorBy === 'choice' ? 'choice' : 'earliest entry'})`, zh: `开始合并 ${absorbedId}（保留方：${survivorBy === 'choice' ? '人工选定' : '最早录入'}）` }),
  CustomerAbsorbed: ({ into }) => ({ en: `Merged into ${into}`, zh: `并入 ${into}` }),
  MergeDeclined: ({ into, because }) => ({ en: `Not merged into ${into}: ${because === 'absorbed-elsewhere' ? 'it is part of another customer' : 'it is merging itself'}`, zh: `未并入 ${into}：${because === 'absorbed-elsewhere' ? '已并入其他客户' : '自身正在合并'}` }),
  CustomerMerged: ({ absorbedId }) => ({ en: `${absorbedId} is part of it from now on`, zh: `${absorbedId} 已并入本客户` }),
  MergeAbandoned: ({ absorbedId }) => ({ en: `The merge with ${absorbedId} was given up`, zh: `放弃与 ${absorbedId} 的合并` }),
  OwnershipSettled: ({ from, ownerId, basis, earliest }) => ({ en: `Owner settled by a ${basis === 'merge' ? 'merge' : 'merge undone'}: from ${owner(from, 'the pool')} to ${owner(ownerId, 'the pool')}, by the earliest entry ${earliest}`, zh: `${basis === 'merge' ? '合并' : '撤销合并'}后归属：由 ${owner(from, '公海')} 归 ${owner(ownerId, '公海')}，依据最早录入 ${earliest}` }),
  MergeReversed: ({ from, ownerId }) => ({ en: `No longer part of ${from}: a customer of its own again, held by ${owner(ownerId, 'nobody (the pool)')}`, zh: `自 ${from} 拆出，恢复为独立客户，归属 ${owner(ownerId, '公海')}` }),
  MergeUndone: ({ absorbedId }) => ({ en: `${absorbedId} is no longer part of it`, zh: `${absorbedId} 已从本客户拆出` }),

  ComplaintLodged: ({ class: kind, severity, channel, level, handlerId }) => ({ en: `Complaint lodged: ${kind}, ${severity}, by ${channel}, at level ${level}, handled by ${owner(handlerId, 'nobody yet')}`, zh: `受理投诉：${kind}，${severity}，渠道 ${channel}，级别 ${level}，处理人 ${owner(handlerId, '暂无')}` }),
  ComplaintReplied: () => ({ en: 'The complaint was replied to', zh: '答复投诉' }),
  ComplaintActed: ({ compensation }) => ({ en: `Something was done about the complaint${compensation ? `, with ${money(compensation)} in compensation` : ''}`, zh: `处理投诉${compensation ? `，补偿 ${money(compensation)}` : ''}` }),
  ComplaintFollowedUp: ({ satisfied }) => ({ en: `Followed up: the complainant is ${satisfied ? '' : 'not '}satisfied`, zh: `投诉回访：${satisfied ? '满意' : '不满意'}` }),
  ImprovementRecorded: () => ({ en: 'What is improved after the complaint was recorded', zh: '记录改进措施' }),
  ComplaintEscalated: ({ reason, fromLevel, toLevel, step }) => ({ en: `Complaint escalated from level ${fromLevel} to ${toLevel}: ${reason}${step === null ? '' : ` of ${step}`}`, zh: `投诉由 ${fromLevel} 级升级到 ${toLevel} 级：${escalations[reason]}${step === null ? '' : `（${steps[step]}）`}` }),
  ComplaintDeadlineMissed: ({ step, deadline }) => ({ en: `The deadline for ${step} passed, ${deadline}`, zh: `${steps[step]}逾期：${deadline}` }),
  ComplaintReassigned: ({ from, to }) => ({ en: `Complaint given from ${owner(from, 'nobody')} to ${to}`, zh: `投诉由 ${owner(from, '无人')} 转派给 ${to}` }),
  ResolutionRejected: () => ({ en: 'The complainant rejected the resolution', zh: '客户不接受处理结果' }),
  ComplaintClosed: () => ({ en: 'Complaint closed', zh: '投诉结案' }),
  ComplaintReopened: () => ({ en: 'Complaint reopened', zh: '重新受理投诉' }),
  ComplainantCorrected: ({ complainant }) => ({ en: `The complaint is of ${complainant.kind === 'anonymous' ? 'nobody known' : complainant.customerId}, by the reversal of a merge`, zh: `撤销合并后，投诉归 ${complainant.kind === 'anonymous' ? '匿名' : complainant.customerId}` }),

  RecordReported: ({ kind, customerId, duplicateOf, category, missing, deadlineAt }) => {
    const of = { en: duplicateOf === null ? category ? `: ${category.in} instead of ${category.right}` : missing.length > 0 ? `: lacks ${list(missing)}` : '' : ` of ${duplicateOf}`, zh: duplicateOf === null ? category ? `：现为 ${category.in}，应为 ${category.right}` : missing.length > 0 ? `：缺 ${list(missing)}` : '' : `：与 ${duplicateOf} 重复` }
    return { en: `Record ${customerId} reported as ${faults[kind].en}${of.en}; to be judged by ${deadlineAt}`, zh: `举报客户记录 ${customerId}：${faults[kind].zh}${of.zh}，裁定期限 ${deadlineAt}` }
  },
  ReportOverdue: ({ deadlineAt }) => ({ en: `The report was not judged by ${deadlineAt}`, zh: `举报逾期未裁定：${deadlineAt}` }),
  // Whom it concerns and what it cost is told in the employee's record, not here.
  ReportUpheld: ({ dispute }) => ({
    en: `Report upheld${dispute === null ? '' : dispute.to === null ? `; ownership stays${dispute.unmoved === null ? '' : ` (${dispute.unmoved})`}` : `; ownership goes to ${dispute.to}`}`,
    zh: `举报成立${dispute === null ? '' : dispute.to === null ? `，归属不变${dispute.unmoved === null ? '' : `（${unmoved[dispute.unmoved]}）`}` : `，归属转给 ${dispute.to}`}`,
  }),
  ReportDismissed: () => ({ en: 'Report dismissed', zh: '驳回举报' }),

  PurchaseRecorded: ({ purchaseId, amount, lines }) => ({ en: `Bought for ${money(amount)} (${purchaseId}): ${list(lines.map(({ product, quantity }) => `${product} × ${quantity}`))}`, zh: `购买 ${money(amount)}（${purchaseId}）：${list(lines.map(({ product, quantity }) => `${product} × ${quantity}`))}` }),
  RefundRecorded: ({ refundId, purchaseId, amount }) => ({ en: `${money(amount)} given back (${refundId}) for ${purchaseId}`, zh: `退款 ${money(amount)}（${refundId}），原购买 ${purchaseId}` }),
  InteractionRecorded: ({ channel, direction, purpose, employeeId }) => ({ en: `Contact by ${channel}, ${direction}, for ${purpose}${employeeId === null ? '' : `, with ${employeeId}`}`, zh: `互动：${channel}，${direction === 'inbound' ? '来访' : '主动'}，目的 ${purpose}${employeeId === null ? '' : `，员工 ${employeeId}`}` }),
  PurchaseGivenAway: ({ purchaseId, to }) => ({ en: `The purchase ${purchaseId} went to ${to}, by the reversal of a merge`, zh: `撤销合并后，购买 ${purchaseId} 归 ${to}` }),
  PurchaseTakenOver: ({ purchaseId, amount, refunds, from }) => {
    const back = refunds.map((refund) => `${money(refund.amount)} (${refund.refundId})`)
    return {
      en: `Bought for ${money(amount)} (${purchaseId})${back.length === 0 ? '' : `, of which ${list(back)} was given back`}; recorded for ${from} until a merge was reversed`,
      zh: `购买 ${money(amount)}（${purchaseId}）${back.length === 0 ? '' : `，已退款 ${list(back)}`}，撤销合并前记在 ${from}`,
    }
  },
  InteractionGivenAway: ({ interactionId, to }) => ({ en: `The contact ${interactionId} went to ${to}, by the reversal of a merge`, zh: `撤销合并后，互动 ${interactionId} 归 ${to}` }),
  InteractionTakenOver: ({ channel, direction, purpose, from }) => ({ en: `Contact by ${channel}, ${direction}, for ${purpose}, recorded for ${from} until a merge was reversed`, zh: `互动：${channel}，${direction === 'inbound' ? '来访' : '主动'}，目的 ${purpose}，撤销合并前记在 ${from}` }),
}

export const toldTypes: readonly string[] = Object.keys(words)

/** An event in words. */
export const inWords = <Type extends keyof ToldData>(event: { type: Type; data: ToldData[Type] }, language: Language): string => words[event.type](event.data)[language]
