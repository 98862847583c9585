import pg from 'pg'
import type { Runtime } from '../../src/commands/runtime.ts'
import type { Cluster, Service } from './cluster.ts'
import type { Flight, Load } from './load.ts'
import type { Random } from './random.ts'
import { stopAfterReserving } from './stopped.ts'

/** Two appends that follow each other in the protocol: a writer may be killed between them. */
export const pairs = [
  'start → IdentityReserved 1',
  'IdentityReserved 1 → IdentityReserved 2',
  'IdentityReserved → customer event',
  'IdentifierReleased → IdentityReleased',
  'EntryAbandoned on rival → IdentityReserved',
  'EntryAbandoned on itself → IdentityReleased',
] as const
/** Not of the list, and worth knowing. */
const others = ['IdentityReserved → EntryAbandoned on itself', 'customer event → answer'] as const
export type Between = (typeof pairs)[number] | (typeof others)[number]

export type Seen = { position: bigint; stream: string; type: string; commandId: string; epoch: number | null }

/** Between which appends a killed attempt stood, by what the log holds of it; undefined when that cannot be told. */
export const between = ({ command, since, first }: Flight, events: readonly Seen[]): Between | undefined => {
  if (since === undefined) return undefined
  const last = events.filter((event) => event.position > since).at(-1)
  if (!last) return first && command.gains.length > 0 ? 'start → IdentityReserved 1' : undefined
  switch (last.type) {
    case 'IdentityReserved': {
      // Those of an earlier attempt count, as long as their epoch does.
      const reserved = new Set(events.filter((event) => event.type === 'IdentityReserved' && event.epoch === last.epoch).map((event) => event.stream))
      if (reserved.size === command.gains.length) return 'IdentityReserved → customer event'
      return command.givesUp ? 'IdentityReserved → EntryAbandoned on itself' : 'IdentityReserved 1 → IdentityReserved 2'
    }
    case 'EntryAbandoned':
      return last.stream === `customer-${command.customerId}` ? 'EntryAbandoned on itself → IdentityReleased' : 'EntryAbandoned on rival → IdentityReserved'
    case 'IdentifierReleased':
      return 'IdentifierReleased → IdentityReleased'
    case 'IdentityReleased':
      return undefined
    default:
      return 'customer event → answer'
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

type Row = { position: string; stream: string; type: string; command_id: string; epoch: number | null }

const connected = async <T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'torture' })
  client.on('error', () => undefined)
  await client.connect()
  return work(client).finally(() => client.end().catch(() => undefined))
}

/** What the log holds of these commands after a position, by command, and where it ends. */
export const lookAt = async (databaseUrl: string, commandIds: readonly string[], from: bigint): Promise<{ end: bigint; seen: Map<string, Seen[]> }> =>
  connected(databaseUrl, async (client) => {
    const { rows: [head] } = await client.query<{ position: string }>('select position from kehu.event order by position desc limit 1')
    const { rows } = await client.query<Row>(
      `select position, stream, type, metadata::jsonb->>'commandId' as command_id, (data::jsonb->>'epoch')::integer as epoch from kehu.event
       where position > $1 and metadata::jsonb->>'commandId' = any($2) order by position`, [String(from), commandIds])
    const events = rows.map((row) => ({ position: BigInt(row.position), stream: row.stream, type: row.type, commandId: row.command_id, epoch: row.epoch }))
    return { end: BigInt(head?.position ?? 0), seen: Map.groupBy(events, (event) => event.commandId) }
  })

/** Resolves as soon as the log holds an event of this type after a position, or when the time is over. */
export const appears = async (databaseUrl: string, type: string, after: bigint, withinMs: number): Promise<void> =>
  connected(databaseUrl, async (client) => {
    const end = performance.now() + withinMs
    while (performance.now() < end) {
      const { rows } = await client.query('select from kehu.event where position > $1 and type = $2 limit 1', [String(after), type])
      if (rows.length > 0) return
    }
  })

export type Tally = { counts: Map<Between, number>; services: number; postgres: number; everything: number; inFlight: number }
export const newTally = (): Tally => ({ counts: new Map([...pairs, ...others].map((pair) => [pair, 0])), services: 0, postgres: 0, everything: 0, inFlight: 0 })

/** How many come at once for what others had reserved. */
const RIVALS = 24

const kinds = ['service', 'rivals', 'postgres', 'everything'] as const
type Kind = (typeof kinds)[number]
const often = ['service', 'service', 'service', 'rivals', 'rivals', 'postgres', 'everything'] as const

/** What a kill left behind: reservations without their customer. */
type Orphan = { flight: Flight; number: number }

export const makeKiller = (world: { cluster: Cluster; load: Load; random: Random; tally: Tally; runtime: Runtime; reservationWaitMs: number }) => {
  const { cluster, load, random, tally, runtime, reservationWaitMs } = world
  const reviving = new Set<Promise<void>>()

  const revive = (service: Service) => {
    const life = (async () => {
      await pause(random.between(0, 200))
      await cluster.start(service)
    })()
    reviving.add(life)
    void life.finally(() => reviving.delete(life))
  }

  /** Kills, looks where each command in flight stood, and lets the writers go on. */
  const killAndLook = async (killed: readonly Service[], kill: () => Promise<void>): Promise<Orphan[]> => {
    const lives = killed.map((service) => service.life)
    const release = load.hold(lives)
    const flights = load.inFlight(lives)
    await kill()
    // Whose answer was under way already, is not in flight any more.
    const cut = flights.filter((flight) => !load.answered.has(flight.command.key))
    const from = cut.reduce<bigint | undefined>((least, flight) => (least === undefined || flight.from < least ? flight.from : least), undefined)
    const { end, seen } = await lookAt(cluster.databaseUrl(), cut.map((flight) => flight.command.commandId), from ?? 0n)
    const orphans: Orphan[] = []
    tally.inFlight += cut.length
    for (const flight of cut) {
      const events = seen.get(flight.command.commandId) ?? []
      const where = between(flight, events)
      if (where) tally.counts.set(where, (tally.counts.get(where) ?? 0) + 1)
      if (events.some((event) => event.stream === `customer-${flight.command.customerId}`)) continue
      for (const { identity, number } of flight.command.gains) if (events.some((event) => event.stream === `identity-${identity}`)) orphans.push({ flight, number })
    }
    // Most of those that had reserved something come back late: by then a rival may have fenced them.
    release(end, new Set(orphans.filter(() => random.chance(0.7)).map((orphan) => orphan.flight.command.key)))
    return orphans
  }

  const killServices = async (killed: readonly Service[]) => {
    const orphans = await killAndLook(killed, () => cluster.kill(killed))
    tally.services += killed.length
    killed.forEach(revive)
    return orphans
  }

  const up = () => cluster.services.filter((service) => service.state === 'up')

  /**
   * Rivals for what the dead had reserved come to another service, one after the other; that one dies while they
   * fence. Kills leave few reservations: writers that stop there of themselves add to them, and come back late.
   */
  const killAmongRivals = async (service: Service | undefined, orphans: readonly Orphan[] = []): Promise<void> => {
    if (!service) return
    const end = await runtime.store.head()
    const stopped = Array.from({ length: RIVALS }, () => load.newcomer())
    await Promise.all(stopped.map((command) => stopAfterReserving(runtime, command)))
    const wanted = [...orphans.map((orphan) => orphan.number), ...stopped.flatMap((command) => command.gains.map((gain) => gain.number))]
    for (const number of wanted.slice(0, RIVALS)) void pause(random.between(0, 80)).then(() => load.rival(number, service))
    for (const command of stopped) load.late(command)
    await appears(cluster.databaseUrl(), 'EntryAbandoned', end, reservationWaitMs + 1000)
    if (random.chance(0.5)) await pause(random.between(0, 40))
    if (service.state === 'up') await killServices([service])
  }

  /** Until there is something to interrupt: so many more commands were answered; on a slow machine, after a few seconds. */
  const someWork = async (commands: number): Promise<void> => {
    const from = load.answered.size
    const end = performance.now() + 3000
    while (load.answered.size < from + commands && performance.now() < end) await pause(5)
    while (up().length === 0 && performance.now() < end + 60_000) await pause(10)
    await pause(random.between(0, 30))
  }

  const once = async (kind: Kind): Promise<void> => {
    await someWork(random.between(30, 200))
    const service = random.anyOf(up())
    if (!service) return
    switch (kind) {
      case 'service': {
        const orphans = await killServices([service])
        if (random.chance(0.5)) await killAmongRivals(random.anyOf(up()), orphans)
        break
      }
      case 'rivals':
        await killAmongRivals(service)
        break
      case 'postgres': {
        tally.postgres += 1
        await cluster.killPostgres()
        // What stood still meanwhile looks abandoned now: fences, and another kill among them.
        await pause(random.between(0, 250))
        const next = random.anyOf(up())
        if (next && random.chance(0.6)) await killServices([next])
        break
      }
      case 'everything': {
        tally.everything += 1
        const killed = cluster.services.filter((one) => one.state !== 'dead')
        await killAndLook(killed, cluster.killEverything)
        killed.forEach(revive)
      }
    }
  }

  return {
    /**
     * Kills, again and again, for so many seconds, and in each way at least once; then everything is up again. With
     * `everyPair` for half as long again, where no kill has fallen between some two appends yet: machines differ.
     */
    forSeconds: async (seconds: number, everyPair: boolean): Promise<void> => {
      const began = performance.now()
      const missing = () => pairs.some((pair) => tally.counts.get(pair) === 0)
      for (const kind of kinds) await once(kind)
      for (let passed = 0; passed < seconds || (everyPair && missing() && passed < seconds * 1.5); passed = (performance.now() - began) / 1000) {
        // The shortest of all windows: it needs rivals to fence just then.
        const rarely = (tally.counts.get('EntryAbandoned on rival → IdentityReserved') ?? 0) < 5
        await once(rarely && random.chance(0.4) ? 'rivals' : random.pick(often))
      }
      await Promise.all(reviving)
    },
  }
}
