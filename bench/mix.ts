import { channels, deadlinesFrom, steps, type ComplaintEvent } from '../src/domain/complaint/complaint.ts'
import { contactSubject, subject, type CustomerEvent, type StoredFields } from '../src/domain/customer/events.ts'
import { personal } from '../src/domain/decider.ts'
import type { EngagementEvent } from '../src/domain/engagement/engagement.ts'
import type { IdentityEvent } from '../src/domain/identity/identity.ts'
import { defaultPolicies } from '../src/domain/policy/defaults.ts'
import type { PurchasesEvent } from '../src/domain/purchases/purchases.ts'
import { makeRandom, type Random } from '../test/torture/random.ts'

/** What happens next in the mix: events that one command would append to one stream. */
export type Happening = { stream: string; commandId: string; actor: string; at: string; policy: string | null; events: (CustomerEvent | IdentityEvent | ComplaintEvent | PurchasesEvent | EngagementEvent)[] }

/** Of a hundred steps, how many are of which kind. A step is one command; entering a customer makes three events and more. */
export const shares = { enter: 12, ownership: 14, profile: 10, contact: 3, identifier: 2, share: 1, stage: 9, tier: 4, complaint: 9, purchase: 16, interaction: 20 } as const
export const mixInWords = 'customers entered with identifiers and contacts 12, changes of owner 14, of profile 10, of contacts 3, of identifiers 2, shares 1, stages 9, tiers 4, steps of complaints 9, purchases 16, interactions 20 of a hundred commands; half of them on the 2,000 customers entered last, half on any; Chinese names, personal values sealed'

type Step = keyof typeof shares
type Kept = {
  id: string; owner: string | null; stage: string; tier: string; contacts: string[]; identities: string[]; epoch: number
  complaint: { id: string; done: number } | undefined
}

const RECENT = 2000
const surnames = [...'王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文单'] as [string, ...string[]]
const given = [...'伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂辉玲鹏华红玉兰飞燕清云海波建国志文雪梅春宇晨浩然子涵欣怡梓萱俊凯博嘉诗琪若彤思远'] as [string, ...string[]]
const cities = ['上海', '北京', '深圳', '广州', '杭州', '重庆', '成都', '武汉', '西安', '南京', '苏州', '天津'] as const
const trades = ['科技', '贸易', '食品', '软件', '物流', '机械', '医药', '建筑', '服装', '电子'] as const
const template = [{ categoryId: 'individual', version: 1 }, { categoryId: 'individual-retail', version: 1 }]

const moves = defaultPolicies.stages.moves
const ladder = defaultPolicies.tiers.tiers.map((tier) => tier.name)
const EPOCH_MS = Date.parse('2024-01-01T00:00:00.000Z')

/** A log's worth of happenings for a seed: always the same customers, values and order. It never ends. */
export function* mix(seed: number): Generator<Happening> {
  const random = makeRandom(seed)
  const customers: Kept[] = []
  const table = Object.entries(shares).flatMap(([step, share]) => new Array<Step>(share).fill(isStep(step) ? step : 'enter')) as [Step, ...Step[]]
  for (let n = 0; ; n += 1) {
    const at = new Date(EPOCH_MS + n * 60_000).toISOString()
    const drawn = random.pick(table)
    const known = random.chance(0.5) ? customers[customers.length - 1 - random.below(Math.min(RECENT, customers.length))] : random.anyOf(customers)
    const happenings = drawn === 'enter' || !known ? enter(random, customers, at) : next[drawn](random, known, at)
    yield* happenings
  }
}

/** So many persons entered by one employee, who holds them all: a second apart, up to now, so that protection holds. */
export function* portfolio(seed: number, owner: string, customers: number, now: number): Generator<Happening> {
  const random = makeRandom(seed)
  const tiers = ['standard', 'standard', 'preferred', 'premier'] as const
  for (let n = 0; n < customers; n += 1) {
    const at = new Date(now - (customers - n) * 1000).toISOString()
    const id = random.uuid()
    const of = subject(id)
    const entered: CustomerEvent = {
      type: 'CustomerCreated',
      data: {
        category: 'individual-retail', template, name: personal(of, personName(random)), fields: { source: 'referral', address: personal(of, address(random)) },
        identifiers: [], contacts: [], stage: defaultPolicies.stages.initial, tier: random.pick(tiers), enteredBy: owner, enteredAt: null,
      },
    }
    yield { stream: `customer-${id}`, commandId: random.uuid(), actor: owner, at, policy: 'ownership', events: [entered, { type: 'OwnershipClaimed', data: { ownerId: owner, basis: 'first-entry', reason: null } }] }
  }
}

const isStep = (step: string): step is Step => step in shares

const employee = (random: Random) => `e${random.below(400)}`
const personName = (random: Random) => random.pick(surnames) + random.pick(given) + (random.chance(0.7) ? random.pick(given) : '')
const companyName = (random: Random) => `${random.pick(cities)}${random.pick(given)}${random.pick(given)}${random.pick(trades)}有限公司`
const phone = (random: Random) => `+861${3 + random.below(6)}${String(random.below(1_000_000_000)).padStart(9, '0')}`
const address = (random: Random) => `${random.pick(cities)}市${random.pick(given)}${random.pick(given)}路 ${1 + random.below(900)} 号`
const text = (random: Random) => `${random.pick(surnames)}${random.pick(given)}：${random.pick(['电话约访', '催促发货', '询问报价', '更换型号', '安装调试', '到期续约'])}，${random.pick(trades)}，${1 + random.below(60)} 天内答复`
const identityOf = (random: Random) => `mobile-v1-${random.uuid().replaceAll('-', '')}${random.uuid().replaceAll('-', '')}`

const on = (random: Random, stream: string, at: string, policy: string | null, ...events: Happening['events']): Happening => ({ stream, commandId: random.uuid(), actor: employee(random), at, policy, events })
const ofCustomer = (random: Random, { id }: Kept, at: string, policy: string | null, event: CustomerEvent) => [on(random, `customer-${id}`, at, policy, event)]

const newContact = (random: Random) => {
  const contactId = random.uuid()
  const of = contactSubject(contactId)
  return { contactId, name: personal(of, personName(random)), fields: { role: random.pick(['decision-maker', 'insider', 'influencer', 'opponent']), mobile: personal(of, phone(random)), title: personal(of, random.pick(['经理', '采购主管', '工程师', '总监'])) } }
}

const reserve = (random: Random, kept: Kept, at: string) => {
  const identity = identityOf(random)
  kept.identities.push(identity)
  const happening = on(random, `identity-${identity}`, at, null, { type: 'IdentityReserved', data: { customerId: kept.id, commandId: random.uuid(), epoch: kept.epoch } })
  return { happening, held: { kind: 'mobile' as const, identity, value: personal(subject(kept.id), phone(random)) } }
}

const enter = (random: Random, customers: Kept[], at: string): Happening[] => {
  const id = random.uuid()
  const owner = random.chance(0.9) ? employee(random) : null
  const kept: Kept = { id, owner, stage: defaultPolicies.stages.initial, tier: ladder[0] ?? '', contacts: [], identities: [], epoch: 0, complaint: undefined }
  const reservations = Array.from({ length: random.chance(0.25) ? 2 : 1 }, () => reserve(random, kept, at))
  const company = random.chance(0.3)
  const contacts = company ? Array.from({ length: 1 + random.below(3) }, () => newContact(random)) : []
  kept.contacts.push(...contacts.map((contact) => contact.contactId))
  customers.push(kept)
  const entered: CustomerEvent[] = [
    {
      type: 'CustomerCreated',
      data: {
        category: company ? 'enterprise' : 'individual-retail', template, name: personal(subject(id), company ? companyName(random) : personName(random)),
        fields: { source: random.pick(['referral', 'web-enquiry', 'exhibition']), importance: random.pick(['A', 'B', 'C']), address: personal(subject(id), address(random)), notes: personal(subject(id), text(random)) },
        identifiers: reservations.map(({ held }) => held), contacts, stage: kept.stage, tier: kept.tier, enteredBy: owner, enteredAt: null,
      },
    },
    ...(owner === null ? [] : [{ type: 'OwnershipClaimed' as const, data: { ownerId: owner, basis: 'first-entry' as const, reason: null } }]),
  ]
  return [...reservations.map(({ happening }) => happening), on(random, `customer-${id}`, at, 'ownership', ...entered)]
}

const changeOwner = (random: Random, kept: Kept, at: string): Happening[] => {
  const from = kept.owner
  const reason = personal(subject(kept.id), text(random))
  kept.owner = from !== null && random.chance(0.5) ? null : employee(random)
  const { owner } = kept
  if (from === null) return ofCustomer(random, kept, at, 'ownership', { type: 'OwnershipClaimed', data: { ownerId: owner ?? employee(random), basis: 'claim', reason: null } })
  if (owner === null) return ofCustomer(random, kept, at, 'ownership', { type: 'OwnershipReleased', data: { from, basis: 'voluntary-release', reason } })
  return ofCustomer(random, kept, at, 'ownership', { type: 'OwnershipTransferred', data: { from, ownerId: owner, basis: 'transfer', reason } })
}

const changeProfile = (random: Random, kept: Kept, at: string): Happening[] => {
  const of = subject(kept.id)
  const fields: StoredFields = random.chance(0.5) ? { address: personal(of, address(random)) } : { importance: random.pick(['A', 'B', 'C']), notes: personal(of, text(random)) }
  return ofCustomer(random, kept, at, null, { type: 'ProfileChanged', data: { ...(random.chance(0.1) ? { name: personal(of, personName(random)) } : {}), fields, template } })
}

const changeContacts = (random: Random, kept: Kept, at: string): Happening[] => {
  const known = random.anyOf(kept.contacts)
  if (known !== undefined && random.chance(0.5)) return ofCustomer(random, kept, at, null, { type: 'ContactChanged', data: { contactId: known, fields: { mobile: personal(contactSubject(known), phone(random)) }, template } })
  const contact = newContact(random)
  kept.contacts.push(contact.contactId)
  return ofCustomer(random, kept, at, null, { type: 'ContactAdded', data: { ...contact, template } })
}

const changeIdentifiers = (random: Random, kept: Kept, at: string): Happening[] => {
  if (kept.identities.length < 2) {
    const { happening, held } = reserve(random, kept, at)
    return [happening, ...ofCustomer(random, kept, at, null, { type: 'IdentifierAdded', data: held })]
  }
  const identity = kept.identities.shift() ?? ''
  kept.epoch += 1
  return [
    ...ofCustomer(random, kept, at, null, { type: 'IdentifierReleased', data: { kind: 'mobile', identity, reason: null } }),
    on(random, `identity-${identity}`, at, null, { type: 'IdentityReleased', data: { customerId: kept.id, commandId: random.uuid() } }),
  ]
}

const changeStage = (random: Random, kept: Kept, at: string): Happening[] => {
  const move = random.anyOf(moves.filter((one) => one.from === kept.stage))
  if (!move) return []
  kept.stage = move.to
  return ofCustomer(random, kept, at, 'stages', { type: 'StageChanged', data: { from: move.from, to: move.to, move: move.kind, cause: 'command', reason: null } })
}

const changeTier = (random: Random, kept: Kept, at: string): Happening[] => {
  const from = kept.tier
  const place = ladder.indexOf(from)
  const up = place === 0 || (place < ladder.length - 1 && random.chance(0.5))
  kept.tier = ladder[place + (up ? 1 : -1)] ?? from
  const data = { from, to: kept.tier, basis: 'spend', evidence: personal(subject(kept.id), { spend: random.below(10_000_000), currency: 'CNY' }) }
  return ofCustomer(random, kept, at, 'tiers', up ? { type: 'TierUpgraded', data } : { type: 'TierDowngraded', data })
}

const dealWithComplaint = (random: Random, kept: Kept, at: string): Happening[] => {
  const say = () => personal(subject(kept.id), text(random))
  const complaint = (kept.complaint ??= { id: random.uuid(), done: 0 })
  const step = steps[complaint.done]
  complaint.done += 1
  if (step === undefined) kept.complaint = undefined
  const event = ((): ComplaintEvent => {
    switch (step) {
      case 'accept':
        return {
          type: 'ComplaintLodged', data: {
            complainant: { kind: 'customer', customerId: kept.id }, class: random.pick(['product', 'service']), severity: random.pick(['minor', 'serious']), channel: random.pick(channels), description: say(), wants: say(), departments: [], level: 1, role: 'clerk',
            handlerId: employee(random), deadlines: deadlinesFrom(at, { reply: { targetDays: 1, deadlineDays: 2 }, act: { targetDays: 3, deadlineDays: 5 }, 'follow-up': { targetDays: 6, deadlineDays: 8 }, improve: { targetDays: 10, deadlineDays: 15 } }),
          },
        }
      case 'reply':
        return { type: 'ComplaintReplied', data: { reply: say() } }
      case 'act':
        return { type: 'ComplaintActed', data: { action: say(), compensation: null } }
      case 'follow-up':
        return { type: 'ComplaintFollowedUp', data: { outcome: say(), satisfied: true } }
      case 'improve':
        return { type: 'ImprovementRecorded', data: { improvement: say() } }
      default:
        return { type: 'ComplaintClosed', data: { note: null } }
    }
  })()
  return [on(random, `complaint-${complaint.id}`, at, 'complaints', event)]
}

const buy = (random: Random, kept: Kept, at: string): Happening[] => {
  const amount = { amount: 1000 + random.below(500_000), currency: 'CNY' }
  return [on(random, `purchases-${kept.id}`, at, null, { type: 'PurchaseRecorded', data: { purchaseId: random.uuid(), at, amount, lines: [{ product: `p${random.below(300)}`, quantity: 1, amount }], channel: 'shop' } })]
}

const meet = (random: Random, kept: Kept, at: string): Happening[] => [on(random, `engagement-${kept.id}`, at, null, {
  type: 'InteractionRecorded',
  data: { interactionId: random.uuid(), at, channel: random.pick(channels), direction: random.pick(['inbound', 'outbound']), purpose: 'follow-up', contactId: null, outcome: personal(subject(kept.id), text(random)), nextStep: null, employeeId: employee(random) },
})]

const share = (random: Random, kept: Kept, at: string): Happening[] =>
  ofCustomer(random, kept, at, null, { type: 'CustomerShared', data: { with: { kind: 'employee', id: employee(random) }, access: random.pick(['read', 'work']), reason: null } })

const next: Record<Exclude<Step, 'enter'>, (random: Random, kept: Kept, at: string) => Happening[]> = {
  ownership: changeOwner, profile: changeProfile, contact: changeContacts, identifier: changeIdentifiers, share, stage: changeStage, tier: changeTier, complaint: dealWithComplaint, purchase: buy, interaction: meet,
}
