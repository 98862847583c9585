/**
 * The protocol of src/commands/slots.ts as a model whose every interleaving can be searched, breadth first. A step is one
 * atomic read or append of one stream, one look at a receipt, or one count; each attempt may stop for ever after any step,
 * and several attempts may act for one command (a retry while the first is still alive). Time that is waited is a step
 * that may be taken at once. One employee is limited; customers are numbered.
 */
export type Limit = { capacity?: number; quota?: number; /** The capacity is that of the higher tier alone. */ ofTier?: true }
export type Kind =
  /** The employee gains a customer, as a command of this number, on this day. */
  | { does: 'claim'; customer: number; command: number; day?: number }
  /** The employee releases it. */
  | { does: 'release'; customer: number }
  /** Another, whom no limit binds, gains it. */
  | { does: 'rival'; customer: number }
  /** It moves to the higher tier while nobody owns it. */
  | { does: 'upgrade'; customer: number }
  /** Something else happens to it. */
  | { does: 'other'; customer: number }
export type Scenario = { name: string; limit: Limit; customers: number; /** Held to begin with. */ held?: readonly number[]; attempts: readonly Kind[]; /** Of others' slots each attempt fences at most so many: one, unless told. */ fences?: readonly number[] }

export const mutations = [
  /** Another's open slot is released without a fence on its customer. */
  'no-fence',
  /** One's own slot is relied on whatever its epoch. */
  'no-epoch',
  /** Holdings are counted, as late as can be, before the portfolio is read. */
  'count-first',
  /** Holdings are counted without waiting for the read model. */
  'not-awaited',
  /** A command that gives up releases its slot without fencing itself. */
  'no-self-fence',
  /** The slot is settled before the customer is written. */
  'settle-first',
  /** After the fence the slot is released at a revision of the portfolio read anew. */
  'reread',
  /** The receipt is looked for before the customer is read. */
  'receipt-first',
  /** No receipt is looked for: a slot that has served is released. */
  'no-receipt',
  /** Open slots take no room. */
  'open-not-counted',
  /** One's own slot is relied on whatever tier and day it was reserved for. */
  'terms-ignored',
  /** A slot is reserved without looking, once the portfolio is read, whether another attempt of the command has come to its end. */
  'own-receipt',
  /** A slot is reserved at whatever revision the portfolio has. */
  'any-revision',
] as const
export type Mutation = (typeof mutations)[number]

type Slot = { customer: number; command: number; epoch: number; day: number; tier: number }
/** Of a customer's stream, event by event: gained by the employee (on a day), gained by a rival, released, fenced, upgraded, anything else. */
type CustomerEvent = `g${number}` | 'v' | 'x' | 'f' | 't' | 'o' | 'held'
/** A portfolio as it was at a revision; `behind`: the customers' revisions that lie before where the last slot was ended. */
type Portfolio = { revision: number; open: readonly Slot[]; claims: readonly number[]; behind: readonly number[] }
/** Whether a command gained a customer, or ended without: its answer for ever. */
type Receipt = { gained: number | null }
type World = { customers: readonly (readonly CustomerEvent[])[]; portfolio: Portfolio; receipts: readonly (Receipt | null)[] }

type At = 'read' | 'precount' | 'portfolio' | 'count' | 'look-itself-up' | 'reserve' | 'settle-early' | 'append' | 'settle' | 'refuse' | 'give-back' | 'look' | 'look-up' | 'fence' | 'reread' | 'end' | 'done'
type Attempt = {
  at: At
  /** What it read of its own customer. */
  revision: number
  epoch: number
  tier: number
  /** The portfolio it read, and whom it counted before. */
  read: Portfolio | null
  counted: readonly number[] | null
  /** The slot it sees to, what it read of that one's customer, its receipt if it looked first, and what is to become of it. */
  victim: Slot | null
  other: number
  otherEpoch: number
  receipt: Receipt | null
  end: 'settled' | 'released'
  /** So often it may still fence a slot that is not its own as it is. */
  fences: number
  /** The epoch at which it last relied on a slot; -1: on none. */
  touched: number
  givesBack: boolean
}
const fresh: Attempt = { at: 'read', revision: 0, epoch: 0, tier: 0, read: null, counted: null, victim: null, other: 0, otherEpoch: 0, receipt: null, end: 'released', fences: 1, touched: -1, givesBack: false }

/** Only what an attempt still needs where it stands: what is forgotten makes no difference. */
const standing = (a: Attempt): Attempt => {
  const seesTo = ['look', 'look-up', 'fence', 'reread', 'end'].includes(a.at)
  const needsOwn = !a.givesBack && !['read', 'settle', 'refuse', 'done'].includes(a.at)
  return {
    ...fresh, at: a.at,
    ...(needsOwn ? { revision: a.revision, epoch: a.epoch, tier: a.tier } : {}),
    ...(seesTo || a.at === 'count' || a.at === 'look-itself-up' || a.at === 'reserve' ? { read: a.read } : {}),
    ...(a.at === 'portfolio' || a.at === 'count' ? { counted: a.counted } : {}),
    ...(seesTo ? { victim: a.victim, other: a.other, otherEpoch: a.otherEpoch, receipt: a.receipt, end: a.end } : {}),
    fences: a.at === 'done' || a.givesBack ? 0 : a.fences, touched: a.at === 'done' ? -1 : a.touched, givesBack: a.at !== 'done' && a.givesBack,
  }
}

/** A step's letter is that of the same step in the code: see `letterOf` where it is driven. */
export type Taken = { who: number; letter: string; says: string }
type Next = { letter: string; says: string; world: World; attempt: Attempt }

// What the streams say.

const customerIn = ({ customers }: World, customer: number, upTo = Infinity) => {
  const found = { revision: 0, epoch: 0, tier: 0, owner: null as 'employee' | 'rival' | null }
  for (const event of customers[customer] ?? []) {
    if (found.revision === upTo) break
    found.revision += 1
    if (event === 'f') found.epoch += 1
    else if (event === 't') found.tier = 1
    else if (event === 'v') found.owner = 'rival'
    else if (event === 'x') found.owner = null
    else if (event !== 'o') found.owner = 'employee'
  }
  return found
}
const revisionsIn = ({ customers }: World) => customers.map((events) => events.length)

/** Whether a customer counts as held, at each revision from one to another. */
const heldBetween = (world: World, customer: number, from: number, until: number, ofTier: boolean): boolean[] => {
  const ways = new Set<boolean>()
  for (let upTo = from; upTo <= until; upTo += 1) {
    const { owner, tier } = customerIn(world, customer, upTo)
    ways.add(owner === 'employee' && (!ofTier || tier === 1))
  }
  return [...ways]
}

/** Every set of customers a read model may show as held that has come at least so far. */
const holdingsBetween = (world: World, from: readonly number[], until: readonly number[], ofTier: boolean): Set<number>[] =>
  world.customers.reduce<Set<number>[]>((all, _, customer) => {
    const ways = heldBetween(world, customer, from[customer] ?? 0, until[customer] ?? 0, ofTier)
    return all.flatMap((held) => ways.map((isHeld) => (isHeld ? new Set(held).add(customer) : held)))
  }, [new Set()])

const isSame = (one: Slot, other: Slot) => one.customer === other.customer && one.command === other.command

const withCustomer = (world: World, customer: number, event: CustomerEvent): World => ({ ...world, customers: world.customers.with(customer, [...(world.customers[customer] ?? []), event]) })
const withReceipt = (world: World, command: number, receipt: Receipt): World => ({ ...world, receipts: world.receipts.with(command, receipt) })
const withPortfolio = (world: World, does: 'reserved' | 'settled' | 'released', slot: Slot): World => {
  const { revision, open, claims } = world.portfolio
  const was = open.find((one) => isSame(one, slot))
  const rest = open.filter((one) => one !== was)
  return {
    ...world,
    portfolio: {
      revision: revision + 1, open: does === 'reserved' ? [...rest, slot] : rest,
      claims: does === 'settled' && was ? claims.with(was.day, (claims[was.day] ?? 0) + 1) : claims, behind: does === 'reserved' ? world.portfolio.behind : revisionsIn(world),
    },
  }
}

// One attempt's next steps.

type Claim = Extract<Kind, { does: 'claim' }>

const claimSteps = (kind: Claim, world: World, a: Attempt, limit: Limit, broken: Mutation | undefined): Next[] => {
  const { customer, command, day = 0 } = kind
  const to = (letter: string, says: string, at: At, change: Partial<Attempt> = {}, next: World = world): Next => ({ letter, says, world: next, attempt: standing({ ...a, ...change, at }) })
  const mine = customerIn(world, customer)
  const { portfolio } = world
  const receipt = world.receipts[command] ?? null
  const leave = (letter: string, says: string, next: World = world): Next => to(letter, says, a.touched >= 0 ? 'give-back' : 'done', { givesBack: true }, next)
  const back: At = a.givesBack ? 'give-back' : 'portfolio'
  const look: At = broken === 'receipt-first' ? 'look-up' : 'look'

  switch (a.at) {
    case 'read':
      if (receipt) return [leave('r', 'finds its receipt')]
      if (mine.owner !== null) return [to('r', 'reads its customer, which has an owner', 'refuse')]
      return [to('r', 'reads its customer', broken === 'count-first' ? 'precount' : 'portfolio', { revision: mine.revision, epoch: mine.epoch, tier: mine.tier })]
    case 'refuse':
      return [leave('', 'records that it gained nothing', withReceipt(world, command, receipt ?? { gained: null }))]
    case 'precount':
      return [to('c', 'counts', 'portfolio', { counted: revisionsIn(world) })]
    case 'portfolio': {
      const own = portfolio.open.find((slot) => slot.customer === customer && slot.command === command)
      if (own && (own.epoch === a.epoch || broken === 'no-epoch')) {
        const fits = broken === 'terms-ignored' || (own.day === day && own.tier === a.tier)
        if (!fits && a.fences === 0) return []
        return [fits ? to('p', 'relies on its slot', 'append', { touched: a.epoch }) : to('p', 'has a slot on other terms', 'fence', { victim: null, other: a.revision, touched: a.epoch })]
      }
      if (own && own.epoch > a.epoch) return [to('p', 'has a newer slot: starts over', 'read')]
      return [to('p', 'reads the portfolio', 'count', { read: portfolio })]
    }
    case 'count': {
      const { open = [], claims = [], behind = [] } = a.read ?? {}
      const others = broken === 'open-not-counted' ? [] : open.filter((slot) => slot.command !== command)
      const byHoldings = limit.capacity !== undefined && (!limit.ofTier || a.tier === 1)
      const from = broken === 'not-awaited' ? world.customers.map(() => 0) : (a.counted ?? behind)
      const today = others.filter((slot) => slot.day === day)
      const overQuota = limit.quota !== undefined && (claims[day] ?? 0) + today.length >= limit.quota
      const ways = new Map<string, Next>()
      for (const held of byHoldings ? holdingsBetween(world, from, a.counted ?? revisionsIn(world), limit.ofTier === true) : [new Set<number>()]) {
        const coming = others.filter((slot) => !held.has(slot.customer) && slot.customer !== customer && (!limit.ofTier || slot.tier === 1))
        const overCapacity = byHoldings && held.size + new Set(coming.map((slot) => slot.customer)).size >= (limit.capacity ?? 0)
        const isFinal = overQuota ? (claims[day] ?? 0) >= (limit.quota ?? 0) : held.size >= (limit.capacity ?? 0)
        if (!overQuota && !overCapacity) ways.set('room', to('c', 'counts: there is room', broken === 'own-receipt' ? 'reserve' : 'look-itself-up'))
        else if (isFinal) ways.set('full', leave('c', 'counts: there is none'))
        else for (const victim of overQuota ? today : coming) ways.set(JSON.stringify(victim), to('c', `counts: there is none but for the slot of command ${victim.command}`, look, { victim }))
      }
      return [...ways.values()]
    }
    case 'look-itself-up':
      return [receipt ? to('', 'finds its receipt: starts over', 'read') : to('', 'looks for its receipt', 'reserve')]
    case 'reserve':
      if (portfolio.revision !== a.read?.revision && broken !== 'any-revision') return [to('R', 'SlotReserved: conflict', broken === 'count-first' ? 'precount' : 'portfolio')]
      return [to('R', 'SlotReserved', broken === 'settle-first' ? 'settle-early' : 'append', { touched: a.epoch }, withPortfolio(world, 'reserved', { customer, command, epoch: a.epoch, day, tier: a.tier }))]
    case 'append':
      if (receipt) return [leave('w', 'finds its receipt as it appends')]
      if (mine.revision !== a.revision) return [to('w', 'conflict: starts over', 'read'), leave('w', 'conflict: gives up')]
      return [to('w', 'gains the customer', broken === 'settle-first' ? 'done' : 'settle', {}, withReceipt(withCustomer(world, customer, `g${day}`), command, { gained: customer }))]
    case 'settle':
    case 'settle-early': {
      const own = portfolio.open.find((slot) => slot.customer === customer && slot.command === command)
      const at = a.at === 'settle' ? 'done' : 'append'
      return [own ? to('s', 'SlotSettled', at, {}, withPortfolio(world, 'settled', own)) : to('s', 'is settled already', at)]
    }
    case 'give-back': {
      const own = portfolio.open.find((slot) => slot.customer === customer && slot.command === command && slot.epoch <= a.touched)
      return [own ? to('p', 'finds its slot still open', look, { victim: own, read: portfolio }) : to('p', 'has nothing to give back', 'done')]
    }
    case 'look': {
      const { revision, epoch } = customerIn(world, a.victim?.customer ?? 0)
      const looked = to('h', 'reads the customer of the slot', 'look-up', { other: revision, otherEpoch: epoch })
      return broken === 'receipt-first' ? judged(looked, a.receipt, broken) : [looked]
    }
    case 'look-up': {
      const found = broken === 'no-receipt' ? null : (world.receipts[a.victim?.command ?? -1] ?? null)
      if (broken === 'receipt-first') return [to('', 'looks for the receipt of the slot', 'look', { receipt: found })]
      return [...judged(to('', 'looks for the receipt of the slot', 'look-up'), found, broken), ...(a.givesBack ? [] : [to('', 'waits', 'portfolio')])]
    }
    case 'fence': {
      const whose = a.victim?.customer ?? customer
      const letter = whose === customer ? 'f' : 'F'
      if (customerIn(world, whose).revision !== a.other) return [to(letter, 'EntryAbandoned: conflict', a.victim ? back : 'read')]
      const fences = a.givesBack ? a.fences : a.fences - 1
      return [to(letter, 'EntryAbandoned', !a.victim ? 'read' : broken === 'reread' ? 'reread' : 'end', { fences }, withCustomer(world, whose, 'f'))]
    }
    case 'reread':
      return [to('p', 'reads the portfolio anew', 'end', { read: portfolio })]
    case 'end': {
      const { victim } = a
      if (portfolio.revision !== a.read?.revision || !victim) return [to('u', 'the slot is ended: conflict', back)]
      return [to('u', a.end === 'settled' ? 'SlotSettled for another' : 'SlotReleased', back, {}, withPortfolio(world, a.end, victim))]
    }
    case 'done':
      return []
  }
}

/** What is to become of the slot that was looked at. */
const judged = ({ attempt: a, ...next }: Next, receipt: Receipt | null, broken: Mutation | undefined): Next[] => {
  const then = (at: At, end: Attempt['end']): Next[] => [{ ...next, attempt: standing({ ...a, at, end, receipt: null }) }]
  if (receipt) return then('end', receipt.gained === a.victim?.customer ? 'settled' : 'released')
  if ((a.victim?.epoch ?? 0) < a.otherEpoch) return then('end', 'released')
  if (broken === (a.givesBack ? 'no-self-fence' : 'no-fence')) return then('end', 'released')
  return a.givesBack || a.fences > 0 ? then('fence', 'released') : []
}

const otherSteps = (kind: Exclude<Kind, Claim>, world: World, a: Attempt): Next[] => {
  const { revision, owner, tier } = customerIn(world, kind.customer)
  const to = (letter: string, says: string, at: At, change: Partial<Attempt> = {}, next: World = world): Next => ({ letter, says, world: next, attempt: { ...a, ...change, at } })
  const may = { release: owner === 'employee', rival: owner === null, upgrade: owner === null && tier === 0, other: true }[kind.does]
  if (a.at === 'read') return [may ? to('r', 'reads its customer', 'append', { revision }) : to('r', 'has nothing to do', 'done', { revision: 0 })]
  if (revision !== a.revision) return [to('w', 'conflict', 'read', { revision: 0 })]
  return [to('w', kind.does, 'done', { revision: 0 }, withCustomer(world, kind.customer, ({ release: 'x', rival: 'v', upgrade: 't', other: 'o' } as const)[kind.does]))]
}

const stepsOf = (kind: Kind, world: World, attempt: Attempt, limit: Limit, broken: Mutation | undefined): Next[] =>
  attempt.at === 'done' ? [] : kind.does === 'claim' ? claimSteps(kind, world, attempt, limit, broken) : otherSteps(kind, world, attempt)

// The search.

const heldIn = (world: World, ofTier = false) => [...world.customers.keys()].filter((customer) => isHeldNow(world, customer, ofTier))
const isHeldNow = (world: World, customer: number, ofTier: boolean): boolean => {
  const { owner, tier } = customerIn(world, customer)
  return owner === 'employee' && (!ofTier || tier === 1)
}
const claimedOn = ({ customers }: World, day: number) => customers.flat().filter((event) => event === `g${day}`).length
const days = [0, 1]

/** What is wrong: more held, or claimed on a day, than the limit allows. */
const faultOf = (world: World, { capacity, quota, ofTier }: Limit): string | undefined => {
  if (capacity !== undefined && heldIn(world, ofTier).length > capacity) return 'more held than the capacity'
  return quota !== undefined && days.some((day) => claimedOn(world, day) > quota) ? 'more claimed in a day than the quota' : undefined
}

/** Were all attempts to stop for ever, would somebody who comes alone gain a customer where there is room, and be refused where there is none? */
const isStuck = (world: World, { limit, customers }: Scenario): boolean => {
  const room = (limit.capacity === undefined || heldIn(world, limit.ofTier).length < limit.capacity) && (limit.quota === undefined || claimedOn(world, 0) < limit.quota)
  const kind: Kind = { does: 'claim', customer: customers, command: world.receipts.length }
  const start: World = { ...world, customers: [...world.customers, limit.ofTier ? ['t'] : []], receipts: [...world.receipts, null] }
  let now = { world: start, attempt: { ...fresh, fences: 9 } }
  for (let steps = 0; now.attempt.at !== 'done'; steps += 1) {
    // Waiting is over, and the read model is where the log ends.
    const behind = { ...now.world, portfolio: { ...now.world.portfolio, behind: revisionsIn(now.world) } }
    const next = stepsOf(kind, behind, now.attempt, limit, undefined).find(({ says }) => says !== 'waits')
    if (!next || steps > 100) return true
    now = next
  }
  return (customerIn(now.world, customers).owner === 'employee') !== room
}

const keyOfSlot = (slot: Slot | null) => (slot ? `${slot.customer}.${slot.command}.${slot.epoch}.${slot.day}.${slot.tier}` : '')
const keyOfPortfolio = ({ revision, open, claims, behind }: Portfolio) => `${revision}[${open.map(keyOfSlot).join(' ')}]${claims.join(',')}<${behind.join(',')}`
const keyOfWorld = ({ customers, portfolio, receipts }: World): string => `${customers.map((events) => events.join('')).join('/')}|${keyOfPortfolio(portfolio)}|${receipts.map((receipt) => (receipt ? (receipt.gained ?? '-') : '')).join(',')}`
const keyOfAttempt = (a: Attempt): string =>
  a.at === 'done' ? '' : [a.at, a.revision, a.epoch, a.tier, a.read && keyOfPortfolio(a.read), a.counted, keyOfSlot(a.victim), a.other, a.otherEpoch, a.receipt && (a.receipt.gained ?? '-'), a.end, a.fences, a.touched, +a.givesBack].join(';')

export type Found = { states: number; fault?: string; way: Taken[] }

/** Searches every interleaving; stops at the first fault, with the shortest way to it. */
export const search = (scenario: Scenario, broken?: Mutation): Found => {
  const { limit, attempts, held = [], customers, fences = attempts.map(() => 1) } = scenario
  type State = { world: World; worldKey: string; attempts: readonly Attempt[]; keys: readonly string[]; from: State | null; taken: Taken | null }
  const commands = Math.max(...attempts.map((kind) => (kind.does === 'claim' ? kind.command : -1))) + 1
  const world: World = {
    customers: Array.from({ length: customers }, (_, customer) => (held.includes(customer) ? ['held'] : [])), receipts: new Array<null>(commands).fill(null),
    portfolio: { revision: 0, open: [], claims: days.map(() => 0), behind: Array.from({ length: customers }, (_, customer) => (held.includes(customer) ? 1 : 0)) },
  }
  const begun = attempts.map((_, who) => ({ ...fresh, fences: fences[who] ?? 1 }))
  const came = new Set<string>()
  const worlds = new Set<string>()
  const queue: State[] = [{ world, worldKey: keyOfWorld(world), attempts: begun, keys: begun.map(keyOfAttempt), from: null, taken: null }]
  const wayTo = (state: State): Taken[] => (state.from && state.taken ? [...wayTo(state.from), state.taken] : [])
  for (let at = 0; at < queue.length; at += 1) {
    const state = queue[at]
    if (!state) break
    for (const [who, kind] of attempts.entries()) {
      const attempt = state.attempts[who]
      if (!attempt) continue
      for (const step of stepsOf(kind, state.world, attempt, limit, broken)) {
        const worldKey = step.world === state.world ? state.worldKey : keyOfWorld(step.world)
        const keys = state.keys.with(who, keyOfAttempt(step.attempt))
        const key = `${worldKey}|${keys.join('|')}`
        if (came.has(key)) continue
        came.add(key)
        const next: State = { world: step.world, worldKey, attempts: state.attempts.with(who, step.attempt), keys, from: state, taken: { who, letter: step.letter, says: step.says } }
        queue.push(next)
        if (worlds.has(worldKey)) continue
        worlds.add(worldKey)
        const fault = faultOf(step.world, limit) ?? (isStuck(step.world, scenario) ? 'somebody who comes alone is refused although there is room' : undefined)
        if (fault !== undefined) return { states: came.size, fault, way: wayTo(next) }
      }
    }
  }
  return { states: came.size, way: [] }
}

const claim = (customer: number, command: number, day = 0): Kind => ({ does: 'claim', customer, command, day })

/** In each of them others' slots are fenced by somebody; who fences nobody waits for ever, as far as the search goes. */
export const scenarios: readonly Scenario[] = [
  { name: 'two customers, room for one', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), claim(1, 1)], fences: [2, 2] },
  { name: 'sent twice, and another customer', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), claim(0, 0), claim(1, 1)], fences: [0, 0, 1] },
  { name: 'three customers, one held, room for one', limit: { capacity: 2 }, customers: 4, held: [3], attempts: [claim(0, 0), claim(1, 1), claim(2, 2)], fences: [0, 0, 1] },
  { name: 'one customer by two commands, and another', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), claim(0, 1), claim(1, 2)], fences: [0, 0, 0] },
  { name: 'a rival is first', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), { does: 'rival', customer: 0 }, claim(1, 1)] },
  { name: 'released and claimed again', limit: { capacity: 1 }, customers: 2, held: [0], attempts: [{ does: 'release', customer: 0 }, claim(0, 0), claim(1, 1)] },
  { name: 'sent twice, released between, and another', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), claim(0, 0), { does: 'release', customer: 0 }, claim(1, 1)], fences: [0, 0, 0, 0] },
  { name: 'sent twice, something else changes, and another', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), claim(0, 0), { does: 'other', customer: 0 }, claim(1, 1)], fences: [0, 0, 0, 0] },
  { name: 'the tier changes', limit: { capacity: 1, ofTier: true }, customers: 2, attempts: [claim(0, 0), { does: 'upgrade', customer: 0 }, claim(1, 1), { does: 'upgrade', customer: 1 }], fences: [0, 0, 1, 0] },
  { name: 'something else changes', limit: { capacity: 1 }, customers: 2, attempts: [claim(0, 0), { does: 'other', customer: 0 }, claim(1, 1)] },
  { name: 'quota of one, sent twice, and another', limit: { quota: 1 }, customers: 2, attempts: [claim(0, 0), claim(0, 0), claim(1, 1)], fences: [0, 0, 1] },
  { name: 'quota of one, released and claimed again', limit: { quota: 1 }, customers: 2, attempts: [claim(0, 0), { does: 'release', customer: 0 }, claim(0, 1)] },
  { name: 'quota of one, sent again the next day', limit: { quota: 1 }, customers: 2, attempts: [claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 1)], fences: [1, 1, 0] },
  { name: 'both limits', limit: { capacity: 2, quota: 1 }, customers: 3, held: [2], attempts: [claim(0, 0), claim(1, 1), { does: 'release', customer: 0 }] },
]
