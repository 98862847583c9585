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
export type Scenario = { name: string; limit: Limit; customers: number; /** Held to begin with. */ held?: readonly number[]; attempts: readonly Kind[] }

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
  /** A slot is reserved at whatever revision the portfolio has. */
  'any-revision',
] as const
export type Mutation = (typeof mutations)[number]

type Slot = { customer: number; command: number; epoch: number; day: number; tier: number }
type LogEvent =
  | { on: number; type: 'gained'; command: number; day: number }
  | { on: number; type: 'released' | 'rival' | 'fence' | 'upgraded' | 'other' }
  | { on: 'portfolio'; type: 'reserved' | 'settled' | 'ended'; slot: Slot }
/** Whether a command gained a customer, or ended without: its answer for ever. */
type Receipt = { gained: number | null }
type World = { log: readonly LogEvent[]; receipts: Readonly<Record<number, Receipt>> }

type At = 'read' | 'precount' | 'portfolio' | 'count' | 'reserve' | 'settle-early' | 'append' | 'settle' | 'refuse' | 'give-back' | 'look' | 'look-up' | 'fence' | 'end' | 'done' | 'stopped'
/** What one attempt knows. Of others' slots it fences so many; `victim` is the slot it sees to, `seen` revision of the portfolio, `other` that of the victim's customer. */
type Attempt = { at: At; revision: number; epoch: number; tier: number; seen: number; counted: number; victim: Slot | null; other: number; otherEpoch: number; receipt: Receipt | null; end: 'settled' | 'ended'; givesBack: boolean; touched: boolean; fences: number }
const fresh: Attempt = { at: 'read', revision: 0, epoch: 0, tier: 0, seen: 0, counted: 0, victim: null, other: 0, otherEpoch: 0, receipt: null, end: 'ended', givesBack: false, touched: false, fences: 1 }

/** A step's letter is that of the same step in the code: see `letterOf` where it is driven. */
export type Taken = { who: number; letter: string; says: string }
type Next = { letter: string; says: string; world: World; attempt: Attempt }

// What the log says.

const customerIn = ({ log }: World, customer: number) => {
  let revision = 0
  let epoch = 0
  let tier = 0
  let owner: 'employee' | 'rival' | null = null
  for (const event of log) {
    if (event.on !== customer) continue
    revision += 1
    if (event.type === 'fence') epoch += 1
    else if (event.type === 'upgraded') tier = 1
    else if (event.type === 'gained') owner = 'employee'
    else if (event.type === 'rival') owner = 'rival'
    else if (event.type === 'released') owner = null
  }
  return { revision, epoch, tier, owner }
}

type PortfolioEvent = Extract<LogEvent, { on: 'portfolio' }>
const isOfPortfolio = (event: LogEvent): event is PortfolioEvent => event.on === 'portfolio'
const isSame = (one: Slot, other: Slot) => one.customer === other.customer && one.command === other.command

/** The portfolio as of a revision: its open slots, settled claims by day, and how much of the log lies before its last event. */
const portfolioIn = ({ log }: World, revision = Infinity) => {
  let open: Slot[] = []
  const claims: Record<number, number> = {}
  let seen = 0
  let position = 0
  for (const [index, event] of log.entries()) {
    if (!isOfPortfolio(event) || seen === revision) continue
    seen += 1
    position = index + 1
    const was = open.find((slot) => isSame(slot, event.slot))
    open = open.filter((slot) => !isSame(slot, event.slot))
    if (event.type === 'reserved') open.push(event.slot)
    else if (event.type === 'settled' && was) claims[was.day] = (claims[was.day] ?? 0) + 1
  }
  return { open, claims, revision: seen, position }
}

const heldIn = ({ log }: World, upTo: number, ofTier: boolean): Set<number> => {
  const held = new Set<number>()
  const upgraded = new Set<number>()
  for (const event of log.slice(0, upTo)) {
    if (event.on === 'portfolio') continue
    if (event.type === 'gained') held.add(event.on)
    else if (event.type === 'released') held.delete(event.on)
    else if (event.type === 'upgraded') upgraded.add(event.on)
  }
  return ofTier ? held.intersection(upgraded) : held
}

const plus = (world: World, event: LogEvent, receipts: World['receipts'] = world.receipts): World => ({ log: [...world.log, event], receipts })

// One attempt's next steps.

const claimSteps = (kind: Extract<Kind, { does: 'claim' }>, world: World, a: Attempt, limit: Limit, broken: Mutation | undefined): Next[] => {
  const { customer, command, day = 0 } = kind
  const to = (letter: string, says: string, at: At, change: Partial<Attempt> = {}, next: World = world): Next => ({ letter, says, world: next, attempt: { ...a, ...change, at } })
  const mine = customerIn(world, customer)
  const receipt = world.receipts[command]
  const leave = (letter: string, says: string, next: World = world): Next => to(letter, says, a.touched ? 'give-back' : 'done', { givesBack: true }, next)

  switch (a.at) {
    case 'read':
      if (receipt) return [leave('r', 'finds its receipt')]
      if (mine.owner !== null) return [to('r', 'reads its customer, which has an owner', 'refuse')]
      return [to('r', 'reads its customer', broken === 'count-first' ? 'precount' : 'portfolio', { revision: mine.revision, epoch: mine.epoch, tier: mine.tier })]
    case 'precount':
      return [to('c', 'counts', 'portfolio', { counted: world.log.length })]
    case 'refuse':
      return [leave('', 'records that it gained nothing', { ...world, receipts: { ...world.receipts, [command]: receipt ?? { gained: null } } })]
    case 'portfolio': {
      const { open, revision } = portfolioIn(world)
      const own = open.find((slot) => slot.customer === customer && slot.command === command)
      if (own && (own.epoch === a.epoch || broken === 'no-epoch')) {
        const fits = broken === 'terms-ignored' || (own.day === day && own.tier === a.tier)
        return [fits ? to('p', 'relies on its slot', 'append', { touched: true }) : to('p', 'has a slot on other terms', 'fence', { victim: null, other: a.revision, touched: true })]
      }
      if (own && own.epoch > a.epoch) return [to('p', 'has a newer slot: starts over', 'read', { touched: true })]
      return [to('p', 'reads the portfolio', 'count', { seen: revision })]
    }
    case 'count': {
      const known = portfolioIn(world, a.seen)
      const others = known.open.filter((slot) => slot.command !== command)
      const byHoldings = limit.capacity !== undefined && (!limit.ofTier || a.tier === 1)
      const from = broken === 'not-awaited' ? 0 : broken === 'count-first' ? a.counted : known.position
      const until = !byHoldings ? from : broken === 'count-first' ? a.counted : world.log.length
      const ways = new Map<string, Next>()
      for (let upTo = from; upTo <= until; upTo += 1) {
        const held = heldIn(world, upTo, limit.ofTier === true)
        const coming = others.filter((slot) => !held.has(slot.customer) && slot.customer !== customer && (!limit.ofTier || slot.tier === 1))
        const today = others.filter((slot) => slot.day === day)
        const counts = broken === 'open-not-counted' ? { coming: 0, today: 0 } : { coming: new Set(coming.map((slot) => slot.customer)).size, today: today.length }
        const overQuota = limit.quota !== undefined && (known.claims[day] ?? 0) + counts.today >= limit.quota
        const overCapacity = byHoldings && held.size + counts.coming >= (limit.capacity ?? 0)
        if (!overQuota && !overCapacity) ways.set('room', to('c', 'counts: there is room', 'reserve'))
        else if (overQuota ? (known.claims[day] ?? 0) >= (limit.quota ?? 0) : held.size >= (limit.capacity ?? 0)) ways.set('full', leave('c', 'counts: there is none'))
        else for (const victim of overQuota ? today : coming) ways.set(JSON.stringify(victim), to('c', `counts: there is none but for the slot for ${victim.customer}`, broken === 'receipt-first' ? 'look-up' : 'look', { victim }))
      }
      return [...ways.values()]
    }
    case 'reserve': {
      const { revision } = portfolioIn(world)
      if (revision !== a.seen && broken !== 'any-revision') return [to('R', 'SlotReserved: conflict', broken === 'count-first' ? 'precount' : 'portfolio')]
      const slot = { customer, command, epoch: a.epoch, day, tier: a.tier }
      return [to('R', 'SlotReserved', broken === 'settle-first' ? 'settle-early' : 'append', { touched: true }, plus(world, { on: 'portfolio', type: 'reserved', slot }))]
    }
    case 'append':
      if (receipt) return [leave('w', 'finds its receipt as it appends')]
      if (mine.revision !== a.revision) return [to('w', 'conflict: starts over', 'read'), leave('w', 'conflict: gives up')]
      return [to('w', 'gains the customer', broken === 'settle-first' ? 'done' : 'settle', {}, plus(world, { on: customer, type: 'gained', command, day }, { ...world.receipts, [command]: { gained: customer } }))]
    case 'settle':
    case 'settle-early': {
      const own = portfolioIn(world).open.find((slot) => slot.customer === customer && slot.command === command)
      const at = a.at === 'settle' ? 'done' : 'append'
      return [own ? to('s', 'SlotSettled', at, {}, plus(world, { on: 'portfolio', type: 'settled', slot: own })) : to('s', 'is settled already', at)]
    }
    case 'give-back': {
      const { open, revision } = portfolioIn(world)
      const own = open.find((slot) => slot.command === command)
      return [own ? to('p', 'finds its slot still open', broken === 'receipt-first' ? 'look-up' : 'look', { victim: own, seen: revision }) : to('p', 'has nothing to give back', 'done')]
    }
    case 'look': {
      const { revision, epoch } = customerIn(world, a.victim?.customer ?? 0)
      const looked = { other: revision, otherEpoch: epoch }
      return broken === 'receipt-first' ? [judged(a, to('h', 'reads the customer of the slot', 'look', looked), a.receipt, epoch, broken)] : [to('h', 'reads the customer of the slot', 'look-up', looked)]
    }
    case 'look-up': {
      const found = broken === 'no-receipt' ? null : (world.receipts[a.victim?.command ?? -1] ?? null)
      if (broken === 'receipt-first') return [to('', 'looks for the receipt of the slot', 'look', { receipt: found })]
      const next = judged(a, to('', 'looks for the receipt of the slot', 'look'), found, a.otherEpoch, broken)
      const mayNot = next.attempt.at === 'fence' && !a.givesBack && a.fences === 0
      return [...(mayNot ? [] : [next]), to('', 'waits', a.givesBack ? 'give-back' : 'portfolio', { victim: null })]
    }
    case 'fence': {
      const fenced = a.victim ? customerIn(world, a.victim.customer) : mine
      const back: At = a.victim ? (a.givesBack ? 'give-back' : 'portfolio') : 'read'
      const letter = a.victim === null || a.victim.customer === customer ? 'f' : 'F'
      if (fenced.revision !== a.other) return [to(letter, 'EntryAbandoned: conflict', back)]
      const change = { ...(broken === 'reread' ? { seen: -1 } : {}), fences: a.victim && !a.givesBack ? a.fences - 1 : a.fences }
      return [to(letter, 'EntryAbandoned', a.victim ? 'end' : 'read', change, plus(world, { on: a.victim?.customer ?? customer, type: 'fence' }))]
    }
    case 'end': {
      const { revision, open } = portfolioIn(world)
      const back: At = a.givesBack ? 'give-back' : 'portfolio'
      if (a.seen === -1) return [to('p', 'reads the portfolio anew', 'end', { seen: revision })]
      const { victim } = a
      const there = victim && open.find((slot) => isSame(slot, victim))
      if (revision !== a.seen || !there) return [to('u', 'the slot is ended: conflict', back, { victim: null, receipt: null })]
      return [to('u', a.end === 'settled' ? 'SlotSettled for another' : 'SlotReleased', back, { victim: null, receipt: null }, plus(world, { on: 'portfolio', type: a.end, slot: there }))]
    }
    case 'done':
    case 'stopped':
      return []
  }
}

/** What is to become of the slot that was looked at. */
const judged = (a: Attempt, next: Next, receipt: Receipt | null, otherEpoch: number, broken: Mutation | undefined): Next => {
  const { victim } = a
  const then = (at: At, end: Attempt['end']): Next => ({ ...next, attempt: { ...next.attempt, at, end, receipt: null } })
  if (receipt) return then('end', receipt.gained === victim?.customer ? 'settled' : 'ended')
  if ((victim?.epoch ?? 0) < otherEpoch) return then('end', 'ended')
  return then((broken === 'no-fence' && !a.givesBack) || (broken === 'no-self-fence' && a.givesBack) ? 'end' : 'fence', 'ended')
}

const otherSteps = (kind: Exclude<Kind, { does: 'claim' }>, world: World, a: Attempt): Next[] => {
  const { revision, owner, tier } = customerIn(world, kind.customer)
  const to = (letter: string, says: string, at: At, change: Partial<Attempt> = {}, next: World = world): Next => ({ letter, says, world: next, attempt: { ...a, ...change, at } })
  const may = { release: owner === 'employee', rival: owner === null, upgrade: owner === null && tier === 0, other: true }[kind.does]
  if (a.at === 'read') return [may ? to('r', 'reads its customer', 'append', { revision }) : to('r', 'has nothing to do', 'done')]
  if (revision !== a.revision) return [to('w', 'conflict', 'read')]
  const type = ({ release: 'released', rival: 'rival', upgrade: 'upgraded', other: 'other' } as const)[kind.does]
  return [to('w', type, 'done', {}, plus(world, { on: kind.customer, type }))]
}

const stepsOf = (kind: Kind, world: World, attempt: Attempt, limit: Limit, broken: Mutation | undefined): Next[] =>
  attempt.at === 'done' ? [] : kind.does === 'claim' ? claimSteps(kind, world, attempt, limit, broken) : otherSteps(kind, world, attempt)

// The search.

/** What is wrong with a log: more held, or claimed on a day, than the limit allows. */
const faultOf = (world: World, { capacity, quota, ofTier }: Limit): string | undefined => {
  if (capacity !== undefined && heldIn(world, world.log.length, ofTier === true).size > capacity) return 'more held than the capacity'
  const claims: Record<number, number> = {}
  for (const event of world.log) if (event.on !== 'portfolio' && event.type === 'gained' && event.day >= 0) claims[event.day] = (claims[event.day] ?? 0) + 1
  return quota !== undefined && Object.values(claims).some((count) => count > quota) ? 'more claimed in a day than the quota' : undefined
}

/** Were all attempts to stop for ever, would somebody who comes alone gain a customer where there is room, and be refused where there is none? */
const isStuck = (world: World, { limit, customers }: Scenario): boolean => {
  const kind: Kind = { does: 'claim', customer: customers, command: -2 }
  let now = { world: limit.ofTier ? plus(world, { on: customers, type: 'upgraded' }) : world, attempt: { ...fresh, fences: 9 } }
  const held = heldIn(now.world, now.world.log.length, limit.ofTier === true).size
  const claims = now.world.log.filter((event) => event.on !== 'portfolio' && event.type === 'gained' && event.day === 0).length
  const room = (limit.capacity === undefined || held < limit.capacity) && (limit.quota === undefined || claims < limit.quota)
  for (let steps = 0; now.attempt.at !== 'done'; steps += 1) {
    // Waiting is over, and the read model is where the log ends: of several ways the last but a wait.
    const next = stepsOf(kind, now.world, now.attempt, limit, undefined).filter(({ says }) => says !== 'waits').at(-1)
    if (!next || steps > 100) return true
    now = next
  }
  return (customerIn(now.world, customers).owner === 'employee') !== room
}

const short = new Map<LogEvent, string>()
const keyOfEvent = (event: LogEvent): string => {
  const known = short.get(event) ?? (event.on === 'portfolio' ? `p${event.type[0]}${Object.values(event.slot).join('.')}` : `${event.on}${event.type}${event.type === 'gained' ? `${event.command}.${event.day}` : ''}`)
  short.set(event, known)
  return known
}
const keyOfWorld = ({ log, receipts }: World): string => `${log.map(keyOfEvent).join(' ')}|${Object.entries(receipts).map(([command, { gained }]) => `${command}:${gained}`).join(' ')}`
const keyOfAttempt = (a: Attempt): string =>
  a.at === 'done' ? 'done' : [a.at, a.revision, a.epoch, a.tier, a.seen, a.counted, a.victim ? Object.values(a.victim).join('.') : '', a.other, a.otherEpoch, a.receipt?.gained, a.end, a.givesBack, a.touched, a.fences].join(',')

export type Found = { states: number; fault?: string; way: Taken[] }

/** Searches every interleaving; stops at the first fault, with the shortest way to it. */
export const search = (scenario: Scenario, broken?: Mutation): Found => {
  const { limit, attempts, held = [] } = scenario
  type State = { world: World; attempts: readonly Attempt[]; from: State | null; taken: Taken | null }
  const first: State = { world: { log: held.map((on) => ({ on, type: 'gained', command: -1, day: -1 })), receipts: {} }, attempts: attempts.map(() => fresh), from: null, taken: null }
  const came = new Set<string>()
  const worlds = new Set<string>()
  const queue = [first]
  const wayTo = (state: State): Taken[] => (state.from && state.taken ? [...wayTo(state.from), state.taken] : [])
  for (let at = 0; at < queue.length; at += 1) {
    const state = queue[at]
    if (!state) break
    for (const [who, attempt] of state.attempts.entries()) {
      const kind = attempts[who]
      if (!kind) continue
      for (const { letter, says, world, attempt: after } of stepsOf(kind, state.world, attempt, limit, broken)) {
        const next: State = { world, attempts: state.attempts.with(who, after), from: state, taken: { who, letter, says } }
        const worldKey = world === state.world ? undefined : keyOfWorld(world)
        const key = `${worldKey ?? keyOfWorld(world)}|${next.attempts.map(keyOfAttempt).join('|')}`
        if (came.has(key)) continue
        came.add(key)
        queue.push(next)
        if (worldKey === undefined || worlds.has(worldKey)) continue
        worlds.add(worldKey)
        const fault = faultOf(world, limit) ?? (broken === undefined && isStuck(world, scenario) ? 'somebody who comes alone is refused although there is room' : undefined)
        if (fault !== undefined) return { states: came.size, fault, way: wayTo(next) }
      }
    }
  }
  return { states: came.size, way: [] }
}

export const scenarios: readonly Scenario[] = [
  { name: 'two customers, room for one', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'two customers, room for one, sent twice', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'three customers, one held, room for one', limit: { capacity: 2 }, customers: 4, held: [3], attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }, { does: 'claim', customer: 2, command: 2 }] },
  { name: 'one customer by two commands', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 0, command: 1 }, { does: 'claim', customer: 1, command: 2 }] },
  { name: 'a rival is first', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'rival', customer: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'release and claim again', limit: { capacity: 1 }, customers: 2, held: [0], attempts: [{ does: 'release', customer: 0 }, { does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'sent twice, and released between', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 0, command: 0 }, { does: 'release', customer: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'the tier changes', limit: { capacity: 1, ofTier: true }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'upgrade', customer: 0 }, { does: 'claim', customer: 1, command: 1 }, { does: 'upgrade', customer: 1 }] },
  { name: 'something else changes', limit: { capacity: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'other', customer: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'quota of one', limit: { quota: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }] },
  { name: 'quota of one, released and claimed again', limit: { quota: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'release', customer: 0 }, { does: 'claim', customer: 0, command: 1 }] },
  { name: 'quota of one, sent again the next day', limit: { quota: 1 }, customers: 2, attempts: [{ does: 'claim', customer: 0, command: 0, day: 0 }, { does: 'claim', customer: 0, command: 0, day: 1 }, { does: 'claim', customer: 1, command: 1, day: 0 }, { does: 'claim', customer: 1, command: 2, day: 1 }] },
  { name: 'both limits', limit: { capacity: 2, quota: 1 }, customers: 3, held: [2], attempts: [{ does: 'claim', customer: 0, command: 0 }, { does: 'claim', customer: 1, command: 1 }, { does: 'release', customer: 0 }] },
]
