import type { Runtime } from '../../src/commands/runtime.ts'
import type { Cluster, Service } from './cluster.ts'
import type { Flight, Load } from './load.ts'
import { appears, endOf, lookAt, type Seen } from './look.ts'
import { whosePending } from './pending.ts'
import type { Random } from './random.ts'
import { stopAfterReserving } from './stopped.ts'
import type { Takeovers } from './takeovers.ts'
import { CARRIED_OUT_LATE, happened, type UpsetTally } from './upsets.ts'

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
/** Where the log is not in Postgres: on either side of the customer's own append. */
const aroundAppend = ['pending receipt → customer event', 'customer event → receipt'] as const
export type Between = (typeof pairs)[number] | (typeof others)[number] | (typeof aroundAppend)[number]

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

export type Tally = { counts: Map<Between, number>; services: number; postgres: number; log: number; everything: number; inFlight: number }
export const newTally = (ownLog: boolean): Tally => ({
  counts: new Map([...pairs, ...others, ...(ownLog ? aroundAppend : [])].map((pair) => [pair, 0])), services: 0, postgres: 0, log: 0, everything: 0, inFlight: 0,
})

/** How many come at once for what others had reserved. */
const RIVALS = 24

const kinds = ['service', 'rivals', 'postgres', 'everything'] as const
type Kind = (typeof kinds)[number] | 'log'
const often: readonly [Kind, ...Kind[]] = ['service', 'service', 'service', 'rivals', 'rivals', 'postgres', 'everything']

/** What a kill left behind: reservations without their customer. */
type Orphan = { flight: Flight; number: number }

export const makeKiller = (world: { cluster: Cluster; load: Load; random: Random; tally: Tally; upsets: UpsetTally; runtime: Runtime; takeovers: Takeovers; reservationWaitMs: number; patienceMs: number }) => {
  const { cluster, load, random, tally, upsets, runtime, takeovers, reservationWaitMs, patienceMs } = world
  const { logServer } = cluster
  const reviving = new Set<Promise<void>>()
  const count = (where: Between) => tally.counts.set(where, (tally.counts.get(where) ?? 0) + 1)

  const up = () => cluster.services.filter((service) => service.state === 'up')

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
    const commandIds = cut.map((flight) => flight.command.commandId)
    const { end, seen } = await lookAt(runtime.store, commandIds, from ?? 0n)
    const pending = logServer ? await whosePending(cluster.directUrl(), commandIds) : new Set<string>()
    const orphans: Orphan[] = []
    tally.inFlight += cut.length
    for (const flight of cut) {
      const events = seen.get(flight.command.commandId) ?? []
      const where = between(flight, events)
      if (where) count(where)
      const done = events.some((event) => !event.stream.startsWith('identity-') && event.type !== 'EntryAbandoned')
      if (pending.has(flight.command.commandId)) count(done ? 'customer event → receipt' : 'pending receipt → customer event')
      if (events.some((event) => event.stream === `customer-${flight.command.customerId}`)) continue
      for (const { identity, number } of flight.command.gains) if (events.some((event) => event.stream === `identity-${identity}`)) orphans.push({ flight, number })
    }
    // Most of those that had reserved something come back late: by then a rival may have fenced them.
    release(end, new Set(orphans.filter(() => random.chance(0.7)).map((orphan) => orphan.flight.command.key)))
    return orphans
  }

  const killServices = async (killed: readonly Service[]) => {
    // Where nobody else is up there is nobody to take over: that would measure how long a start takes.
    const measure = up().every((service) => killed.includes(service)) ? () => undefined : await takeovers.from(killed.map(({ life }) => life))
    tally.services += killed.length
    const orphans = await killAndLook(killed, () => {
      measure()
      return cluster.kill(killed)
    })
    killed.forEach(revive)
    return orphans
  }

  /**
   * Rivals for what the dead had reserved come to another service, one after the other; that one dies while they
   * fence. Kills leave few reservations: writers that stop there of themselves add to them, and come back late.
   */
  const killAmongRivals = async (service: Service | undefined, orphans: readonly Orphan[] = []): Promise<void> => {
    if (!service) return
    const end = await endOf(runtime.store)
    const stopped = Array.from({ length: RIVALS }, () => load.newcomer())
    await Promise.all(stopped.map((command) => stopAfterReserving(runtime, command)))
    const wanted = [...orphans.map((orphan) => orphan.number), ...stopped.flatMap((command) => command.gains.map((gain) => gain.number))]
    for (const number of wanted.slice(0, RIVALS)) void pause(random.between(0, 80)).then(() => load.rival(number, service))
    for (const command of stopped) load.late(command)
    await appears(runtime.store, 'EntryAbandoned', end, reservationWaitMs + 1000)
    if (random.chance(0.5)) await pause(random.between(0, 40))
    if (service.state === 'up') await killServices([service])
  }

  /** Until there is something to interrupt: so many more commands were answered; on a slow machine, after a while. */
  const someWork = async (commands: number): Promise<void> => {
    const from = load.answered.size
    const end = performance.now() + patienceMs
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
        // Where it can be: what the dead one sent last is carried out when its successor is at it already.
        if (logServer?.tell && random.chance(0.4)) {
          if (await logServer.tell(`answerAfterGone ${Math.floor(random.between(50, 2000))}`)) happened(upsets, CARRIED_OUT_LATE)
          await pause(random.between(0, 15))
        }
        const orphans = await killServices([service])
        if (random.chance(0.5)) await killAmongRivals(random.anyOf(up()), orphans)
        break
      }
      case 'rivals':
        await killAmongRivals(service)
        break
      case 'postgres':
      case 'log': {
        tally[kind] += 1
        await (kind === 'log' ? logServer?.restart?.() : cluster.killPostgres())
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

  const choose = (): Kind => (logServer?.restart && random.chance(0.2) ? 'log' : random.pick(often))

  return {
    /**
     * Kills, again and again, for so many seconds, and in each way at least once; then everything is up again. With
     * `everyPair` for half as long again, where no kill has fallen between some two appends yet: machines differ.
     */
    forSeconds: async (seconds: number, everyPair: boolean): Promise<void> => {
      const began = performance.now()
      const missing = () => pairs.some((pair) => tally.counts.get(pair) === 0)
      for (const kind of kinds) await once(kind)
      if (logServer?.restart) await once('log')
      for (let passed = 0; passed < seconds || (everyPair && missing() && passed < seconds * 1.5); passed = (performance.now() - began) / 1000) {
        // The shortest of all windows: it needs rivals to fence just then.
        const rarely = (tally.counts.get('EntryAbandoned on rival → IdentityReserved') ?? 0) < 5
        await once(rarely && random.chance(0.4) ? 'rivals' : choose())
      }
      await Promise.all(reviving)
    },
  }
}
