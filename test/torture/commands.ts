import { commandIdOf, type KeyedHash } from '../../src/commands/keyed-hash.ts'
import type { Random } from './random.ts'

/** The system whose token the writers carry. */
const ACTOR = 'first-system'
const employees = ['clerk', 'manager', 'admin', 'auditor', 'analyst'] as const

export type Command = {
  key: string
  commandId: string
  name: string
  body: object
  behalfOf: string
  customerId: string
  /** Identities it reserves, in the order of the protocol, and the mobile number each stands for. */
  gains: readonly { identity: string; number: number }[]
  /** Its last identity was held by another when it was made: it reserves the others, and gives them back. */
  givesUp: boolean
}

const mobileOf = (number: number) => ({ kind: 'mobile', value: `139${String(number).padStart(8, '0')}` })

type Mine = { customerId: string; numbers: Set<number> }

/** Makes up what writers send: entries of numbers many want, changes of what is there, purchases. */
export const makeCommands = ({ seed, keyedHash }: { seed: number; keyedHash: KeyedHash }) => {
  const customers: Mine[] = []
  /** Who buys, and is otherwise left alone. */
  const buyers: string[] = []
  let entered = 0
  let fresh = 50_000_000
  let keys = 0

  const identityOf = (number: number) => keyedHash.identity('mobile', `+86139${String(number).padStart(8, '0')}`)
  const gainsOf = (numbers: readonly number[]) => [...new Set(numbers)].map((number) => ({ identity: identityOf(number), number })).toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
  /** Numbers many want at the same time: a window that moves on as customers are entered. */
  const hot = (random: Random) => Math.floor(entered * 0.8) + random.below(60)
  const freshNumber = () => (fresh += 1)

  const make = (random: Random, name: string, customerId: string, body: object, more: Partial<Pick<Command, 'gains' | 'givesUp' | 'behalfOf'>> = {}): Command => {
    keys += 1
    const key = `${seed}/${keys}`
    return { key, commandId: commandIdOf(ACTOR, name, key), name, customerId, body: { customerId, ...body }, behalfOf: random.pick(employees), gains: [], givesUp: false, ...more }
  }
  const create = (random: Random, numbers: readonly number[], givesUp = false): Command =>
    make(random, 'create-customer', random.uuid(), { category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, claim: random.chance(0.6), identifiers: numbers.map(mobileOf) }, { gains: gainsOf(numbers), givesUp })

  /** Two identifiers, the second of which, in the order of the protocol, somebody holds. */
  const createThatGivesUp = (random: Random): Command => {
    const taken = random.anyOf(random.anyOf(customers)?.numbers.values().toArray() ?? [])
    if (taken === undefined) return create(random, [hot(random)])
    const limit = identityOf(taken)
    let own = freshNumber()
    while (identityOf(own) >= limit && own % 64 !== 0) own = freshNumber()
    return create(random, random.chance(0.5) ? [own, taken] : [taken, own], identityOf(own) < limit)
  }

  /** Something about a customer that gains no identifier. */
  const change = (random: Random, { customerId, numbers }: Mine): Command => {
    const on = (name: string, body: object) => make(random, name, customerId, body)
    const number = random.anyOf([...numbers])
    const dice = random.next()
    if (dice < 0.4 && number !== undefined) return on('release-identifier', { identifier: mobileOf(number), reason: '停用' })
    if (dice < 0.55) return on('claim-ownership', {})
    if (dice < 0.65) return on('release-ownership', { reason: '不再跟进' })
    if (dice < 0.75) return on('transfer-ownership', { to: random.pick(employees), reason: '区域调整' })
    if (dice < 0.85) return on('change-stage', { to: random.pick(['prospect', 'lost'] as const) })
    return random.chance(0.6) ? on('upgrade-tier', { to: random.pick(['preferred', 'premier'] as const), basis: 'spend', evidence: '消费达标' }) : on('downgrade-tier', { to: 'standard', basis: 'correction', evidence: '更正' })
  }

  const purchase = (random: Random, customerId: string): Command =>
    make(random, 'record-purchase', customerId, { purchaseId: random.uuid(), at: '2026-01-03T10:00:00+08:00', amount: { amount: 100 + random.below(3_000_000), currency: 'CNY' } })

  const next = (random: Random): Command => {
    const mine = random.anyOf(customers)
    const buyer = random.anyOf(buyers)
    const number = mine && random.anyOf([...mine.numbers])
    const dice = random.next()
    if (!mine || dice < 0.22) return create(random, [hot(random)])
    if (dice < 0.41) return create(random, [hot(random), hot(random)])
    if (dice < 0.53) return createThatGivesUp(random)
    const on = (name: string, body: object, wanted: number) => make(random, name, mine.customerId, body, { gains: gainsOf([wanted]) })
    if (dice < 0.61) {
      const wanted = hot(random)
      return on('add-identifier', { identifier: mobileOf(wanted) }, wanted)
    }
    if (dice < 0.69 && number !== undefined) {
      const wanted = random.chance(0.5) ? hot(random) : freshNumber()
      return on('change-identifier', { from: mobileOf(number), to: mobileOf(wanted), reason: '换号' }, wanted)
    }
    return buyer !== undefined && dice < 0.76 ? purchase(random, buyer) : change(random, mine)
  }

  return {
    next,
    /** Lines of one batch: some for one customer, some for one buyer, some for nobody yet. */
    batch: (random: Random): Command[] => {
      const mine = random.anyOf(customers)
      const buyer = random.anyOf(buyers)
      const lines = [
        ...(mine ? Array.from({ length: random.below(8) }, () => change(random, mine)) : []),
        ...(buyer !== undefined ? Array.from({ length: random.below(12) }, () => purchase(random, buyer)) : []),
        ...Array.from({ length: 1 + random.below(4) }, () => create(random, [hot(random)])),
      ]
      return lines.map((line) => ({ line, at: random.next() })).toSorted((a, b) => a.at - b.at).map(({ line }) => line)
    },
    newcomer: (random: Random, number = freshNumber()): Command => create(random, [number]),
    /** What the writers believe of their customers: enough to aim at what is there. */
    remember: ({ name, customerId, gains, body }: Command, status: number): void => {
      if (status >= 300) return
      const known = customers.find((one) => one.customerId === customerId)
      if (name === 'create-customer') {
        entered += 1
        if (entered % 8 === 0) buyers.push(customerId)
        else customers.push({ customerId, numbers: new Set(gains.map((gain) => gain.number)) })
        if (buyers.length > 40) buyers.shift()
        if (customers.length > 200) customers.shift()
      } else if (known && (name === 'add-identifier' || name === 'change-identifier')) for (const { number } of gains) known.numbers.add(number)
      if (known && (name === 'release-identifier' || name === 'change-identifier')) {
        const given = JSON.stringify('from' in body ? body.from : 'identifier' in body ? body.identifier : {})
        for (const number of known.numbers) if (given.includes(mobileOf(number).value)) known.numbers.delete(number)
      }
    },
  }
}
