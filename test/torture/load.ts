import { z } from 'zod'
import { commandIdOf, type KeyedHash } from '../../src/commands/keyed-hash.ts'
import type { Service } from './cluster.ts'
import { makeRandom, type Random } from './random.ts'

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
export type Answered = { command: Command; status: number; text: string }
/**
 * A command on its way. All its events stand after `from`, those of this attempt after `since`; which is undefined
 * when an earlier attempt may still be running.
 */
export type Flight = { command: Command; life: string; from: bigint; since: bigint | undefined; first: boolean }

export type Load = {
  answered: Map<string, Answered>
  faults: string[]
  inFlight: (lives: readonly string[]) => Flight[]
  /** Commands in flight with these services are not sent again before this is called, with the end of the log at the kill. */
  hold: (lives: readonly string[]) => (endAtKill: bigint, late: ReadonlySet<string>) => void
  /** A new customer with an identifier somebody may have reserved, sent to a certain service first. */
  rival: (number: number, service: Service) => void
  /** Sends a command until it is answered for good. */
  settle: (command: Command, first?: Service) => Promise<Answered>
  /** Sends a command that was begun elsewhere and stopped, after a while. */
  late: (command: Command) => void
  newcomer: (number?: number) => Command
  stop: () => Promise<void>
  retries: () => number
  /** How often a service answered that the log is out of reach. */
  unavailable: () => number
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const Problem = z.looseObject({ type: z.string() })

/** Answers that settle nothing: the same key is to be sent again. */
const isPassing = (status: number, text: string): boolean => status === 503 || (status === 409 && Problem.parse(JSON.parse(text)).type.endsWith('/contention'))

export const post = async (service: Service, token: string, { name, key, body, behalfOf }: Command): Promise<{ status: number; text: string }> => {
  const response = await fetch(`${service.url}/commands/${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key, 'on-behalf-of': behalfOf },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: response.status, text: await response.text() }
}

const mobileOf = (number: number) => ({ kind: 'mobile', value: `139${String(number).padStart(8, '0')}` })

type Mine = { customerId: string; numbers: Set<number>; owner: string | null }

export const startLoad = (options: { seed: number; writers: number; services: readonly Service[]; token: string; keyedHash: KeyedHash }): Load => {
  const { services, token, keyedHash, seed } = options
  const answered = new Map<string, Answered>()
  const faults: string[] = []
  const flights = new Map<string, Flight>()
  const held = new Map<string, { released: Promise<void>; end: bigint; late: ReadonlySet<string> }>()
  const customers: Mine[] = []
  const extra: Promise<unknown>[] = []
  let stopping = false
  let entered = 0
  let fresh = 50_000_000
  let keys = 0
  let retries = 0
  let unavailable = 0
  /** The end of the log when it was last looked at. */
  let end = 0n

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

  const next = (random: Random): Command => {
    const mine = random.anyOf(customers)
    const number = mine && random.anyOf([...mine.numbers])
    const dice = random.next()
    if (!mine || dice < 0.24) return create(random, [hot(random)])
    if (dice < 0.44) return create(random, [hot(random), hot(random)])
    if (dice < 0.56) return createThatGivesUp(random)
    const on = (name: string, body: object, more = {}) => make(random, name, mine.customerId, body, more)
    if (dice < 0.64) {
      const wanted = hot(random)
      return on('add-identifier', { identifier: mobileOf(wanted) }, { gains: gainsOf([wanted]) })
    }
    if (dice < 0.72 && number !== undefined) {
      const wanted = random.chance(0.5) ? hot(random) : freshNumber()
      return on('change-identifier', { from: mobileOf(number), to: mobileOf(wanted), reason: '换号' }, { gains: gainsOf([wanted]) })
    }
    if (dice < 0.85 && number !== undefined) return on('release-identifier', { identifier: mobileOf(number), reason: '停用' })
    if (dice < 0.89) return on('claim-ownership', {})
    if (dice < 0.92) return on('release-ownership', { reason: '不再跟进' })
    if (dice < 0.95) return on('transfer-ownership', { to: random.pick(employees), reason: '区域调整' })
    if (dice < 0.97) return on('change-stage', { to: random.pick(['prospect', 'lost'] as const) })
    return random.chance(0.6) ? on('upgrade-tier', { to: random.pick(['preferred', 'premier'] as const), basis: 'spend', evidence: '消费达标' }) : on('downgrade-tier', { to: 'standard', basis: 'correction', evidence: '更正' })
  }

  /** What the writers believe of their customers: enough to aim at what is there. */
  const remember = ({ name, customerId, gains, body }: Command, status: number): void => {
    if (status >= 300) return
    const known = customers.find((one) => one.customerId === customerId)
    if (name === 'create-customer') {
      entered += 1
      customers.push({ customerId, numbers: new Set(gains.map((gain) => gain.number)), owner: null })
      if (customers.length > 200) customers.shift()
    } else if (known && (name === 'add-identifier' || name === 'change-identifier')) for (const { number } of gains) known.numbers.add(number)
    if (known && (name === 'release-identifier' || name === 'change-identifier')) {
      const given = JSON.stringify('from' in body ? body.from : 'identifier' in body ? body.identifier : {})
      for (const number of known.numbers) if (given.includes(mobileOf(number).value)) known.numbers.delete(number)
    }
  }

  const settle = async (command: Command, first?: Service): Promise<Answered> => {
    const from = end
    let since: bigint | undefined = from
    let prefer = first
    for (let attempt = 0; ; attempt += 1) {
      const up = services.filter((service) => service.state === 'up')
      const service: Service | undefined = prefer && up.includes(prefer) ? prefer : up[Math.floor(Math.random() * up.length)]
      prefer = undefined
      if (!service) {
        await pause(10)
        continue
      }
      if (attempt > 0) retries += 1
      const { life } = service
      flights.set(command.key, { command, life, from, since, first: attempt === 0 })
      const given = await post(service, token, command).catch(() => undefined)
      if (given && !isPassing(given.status, given.text)) {
        flights.delete(command.key)
        const settled = { command, ...given }
        if (given.status !== 200 && given.status !== 201 && given.status !== 409) faults.push(`${command.name} ${command.key} was answered ${given.status}: ${given.text.slice(0, 300)}`)
        answered.set(command.key, settled)
        remember(command, given.status)
        return settled
      }
      if (given?.status === 503) unavailable += 1
      // Its process was killed: what came of it is looked at before it is sent again; some come back late.
      const kill = given ? undefined : held.get(life)
      if (kill) {
        await kill.released
        since = since === undefined ? undefined : kill.end
        flights.delete(command.key)
        if (kill.late.has(command.key)) await pause(400 + Math.random() * 500)
      } else {
        since = undefined
        flights.delete(command.key)
        // Some ask again only when all that was sent has been carried out, or never will be.
        if (given?.status === 503 && Math.random() < 0.3) await pause(Math.random() * 3000)
      }
      await pause(5 + Math.random() * 40)
    }
  }

  const writers = Array.from({ length: options.writers }, async (_, writer) => {
    const random = makeRandom(seed * 1009 + writer)
    while (!stopping) await settle(next(random))
  })
  const own = makeRandom(seed * 1013)

  return {
    answered,
    faults,
    inFlight: (lives) => [...flights.values()].filter((flight) => lives.includes(flight.life)),
    hold: (lives) => {
      let release: () => void = () => undefined
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      const one: { released: Promise<void>; end: bigint; late: ReadonlySet<string> } = { released, end: 0n, late: new Set() }
      for (const life of lives) held.set(life, one)
      return (endAtKill, late) => {
        end = endAtKill
        Object.assign(one, { end: endAtKill, late })
        release()
      }
    },
    rival: (number, service) => {
      extra.push(settle(create(own, [number]), service))
    },
    settle,
    late: (command) => {
      extra.push(pause(500 + Math.random() * 1000).then(() => settle(command)))
    },
    newcomer: (number = freshNumber()) => create(own, [number]),
    stop: async () => {
      stopping = true
      await Promise.all(writers)
      await Promise.all(extra)
    },
    retries: () => retries,
    unavailable: () => unavailable,
  }
}
