import { z } from 'zod'
import { chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import { reactions } from '../../src/commands/processes/reactions.ts'
import { kindOf, type EventStore, type RecordedEvent } from '../../src/event-store/port.ts'
import type { Core } from '../../src/main.ts'
import { projections } from '../../src/projections/all.ts'
import { readCheckpoint } from '../../src/projections/checkpoint.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import type { Cluster, Service } from './cluster.ts'
import { post, type Answered, type Load } from './load.ts'
import { appears, lookAt } from './look.ts'
import { stopAfterReserving } from './stopped.ts'
import type { Given } from './subscribers.ts'

const Identifiers = z.object({ identifiers: z.array(z.object({ identity: z.string() })) })
const Identity = z.object({ identity: z.string() })
const Reserved = z.object({ customerId: z.string() })
const Abandoned = z.object({ by: z.string() })
const Moved = z.object({ cause: z.string() })
const Accepted = z.looseObject({ streamId: z.string(), revision: z.number(), position: z.string(), events: z.array(z.object({ id: z.string(), type: z.string(), revision: z.number() })) })

type Effect = { id: string; stream: string; type: string; revision: number; position: bigint }

/** The whole log, read once: what it says of itself, and what the other checks need of it. */
export type LogReport = {
  faults: string[]
  /** Every event, in order: what a subscriber must have been given. */
  events: Given[]
  /** What each command did, but for reservations and fences. */
  effects: Map<string, Effect[]>
  /** How often a writer fenced another. */
  fences: number
  /** How many purchases each customer made, and how often one made a deal of them. */
  purchases: Map<string, number>
  activations: Map<string, number>
}

const countUp = (counts: Map<string, number>, what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1)

/** With `gapless` positions are 1, 2, 3 and so on; else they only grow. */
export const readLog = async (store: EventStore, gapless: boolean): Promise<LogReport> => {
  const faults: string[] = []
  const events: Given[] = []
  const heads = new Map<string, Head>()
  const ids = new Set<string>()
  const effects = new Map<string, Effect[]>()
  const holders = new Map<string, string>()
  const reserved = new Map<string, string>()
  const purchases = new Map<string, number>()
  const activations = new Map<string, number>()
  let fences = 0
  let position = 0n

  const gain = (event: RecordedEvent, identity: string) => {
    const customerId = event.stream.slice('customer-'.length)
    const holder = holders.get(identity)
    if (holder !== undefined && holder !== customerId) faults.push(`at position ${event.position} ${identity} comes to be held by ${customerId} and is held by ${holder}`)
    holders.set(identity, customerId)
    if (reserved.get(identity) !== customerId) faults.push(`at position ${event.position} ${customerId} comes to hold ${identity} without a reservation`)
  }
  const fold = (event: RecordedEvent) => {
    switch (event.type) {
      case 'CustomerCreated':
        for (const { identity } of Identifiers.parse(event.data).identifiers) gain(event, identity)
        break
      case 'IdentifierAdded':
        gain(event, Identity.parse(event.data).identity)
        break
      case 'IdentifierReleased':
        holders.delete(Identity.parse(event.data).identity)
        break
      case 'EntryAbandoned':
        if (event.stream !== `customer-${Abandoned.parse(event.data).by}`) fences += 1
        break
      case 'IdentityReserved':
        reserved.set(event.stream.slice('identity-'.length), Reserved.parse(event.data).customerId)
        break
      case 'PurchaseRecorded':
        countUp(purchases, event.stream.slice('purchases-'.length))
        break
      case 'StageChanged':
        if (Moved.parse(event.data).cause === 'purchase') countUp(activations, event.stream.slice('customer-'.length))
        break
      case 'IdentityReleased':
        reserved.delete(event.stream.slice('identity-'.length))
        break
    }
  }

  for await (const batch of store.readAll({ after: 0n, batchSize: 5000 })) {
    for (const event of batch.events) {
      if (gapless ? event.position !== position + 1n : event.position <= position) faults.push(`position ${event.position} follows ${position}`)
      position = event.position
      events.push({ id: event.id, position, kind: kindOf(event.stream) })
      const fault = chainFault(event, heads.get(event.stream) ?? emptyHead(event.stream))
      if (fault !== undefined) faults.push(`position ${event.position} (${event.stream}, revision ${event.revision}): ${fault}`)
      heads.set(event.stream, headAfter(event))
      if (ids.has(event.id)) faults.push(`the event id at position ${event.position} is there twice`)
      ids.add(event.id)
      fold(event)
      if (!event.stream.startsWith('identity-') && event.type !== 'EntryAbandoned') {
        const { commandId } = event.metadata
        effects.set(commandId, [...(effects.get(commandId) ?? []), { id: event.id, stream: event.stream, type: event.type, revision: event.revision, position: event.position }])
      }
    }
  }
  return { faults, events, effects, fences, purchases, activations }
}

/** Every command did exactly what it was answered, once: its events are where it was told, and it has no others. */
export const checkAnswers = (log: LogReport, answered: ReadonlyMap<string, Answered>): string[] => {
  const faults: string[] = []
  for (const { command, status, text } of answered.values()) {
    const did = log.effects.get(command.commandId) ?? []
    const told = status < 300 ? Accepted.parse(JSON.parse(text)) : undefined
    const expected = (told?.events ?? []).map((event) => `${told?.streamId ?? ''} ${event.revision} ${event.type} ${event.id}`)
    const there = did.map((event) => `${event.stream} ${event.revision} ${event.type} ${event.id}`)
    if (expected.join() !== there.join()) faults.push(`${command.name} ${command.key}, answered ${status}, was told [${expected.join(', ')}] and the log has [${there.join(', ')}]`)
    const last = did.at(-1)
    if (told && last && (told.revision !== last.revision || !told.position.endsWith(`.${last.position}`))) faults.push(`${command.name} ${command.key} was told revision ${told.revision} at ${told.position}, and the log has it at revision ${last.revision}, position ${last.position}`)
  }
  return faults
}

/** Who bought became active by it, by a process, once: those who buy are moved by nothing else. */
export const checkReactions = ({ purchases, activations }: LogReport): string[] =>
  [...purchases.keys()].flatMap((customerId) => (activations.get(customerId) === 1 ? [] : [`${customerId} bought ${purchases.get(customerId) ?? 0} times and became active ${activations.get(customerId) ?? 0} times`]))

/** The same keys, sent again, give the same answers byte for byte. */
export const sendAgain = async (answered: ReadonlyMap<string, Answered>, services: readonly Service[], token: string): Promise<string[]> => {
  const faults: string[] = []
  const queue = answered.values()
  const workers = Array.from({ length: 24 }, async (_, worker) => {
    for (const { command, status, text } of queue) {
      const service = services[worker % services.length]
      if (!service) return
      const again = await post(service, token, command)
      if (again.status !== status || again.text !== text) faults.push(`${command.name} ${command.key} was answered ${status} ${text} and then ${again.status} ${again.text}`)
    }
  })
  await Promise.all(workers)
  return faults
}

const inTurns = async <T, R>(items: readonly T[], most: number, work: (item: T) => Promise<R>): Promise<R[]> => {
  const queue = items.values()
  return (await Promise.all(Array.from({ length: most }, async () => {
    const done: R[] = []
    for (const item of queue) done.push(await work(item))
    return done
  }))).flat()
}

/**
 * Writers that were killed, or simply stopped, after they had reserved; others want the same. Nobody is held up for
 * longer than `withinMs` (besides what the machine needs just now, as others tell who want what nobody has reserved);
 * and who was cut off and comes back late does not become a second holder.
 */
export const checkReservations = async (world: { core: Core; cluster: Cluster; load: Load; token: string; withinMs: number; kill: boolean }): Promise<{ faults: string[]; left: number; slowest: number }> => {
  const { core: { runtime }, cluster, load, token } = world
  const victim = world.kill ? cluster.services[0] : undefined
  const faults: string[] = []
  const from = await runtime.store.head()

  const killedWriters = Array.from({ length: victim ? 30 : 0 }, (_, index) => load.newcomer(90_000_000 + index))
  if (victim) {
    const sent = killedWriters.map((command) => post(victim, token, command).catch(() => undefined))
    await appears(runtime.store, 'IdentityReserved', from, 5000)
    await cluster.kill([victim])
    await Promise.all(sent)
  }

  const stoppedWriters = Array.from({ length: 10 }, (_, index) => load.newcomer(91_000_000 + index))
  for (const writer of stoppedWriters) {
    const outcome = await stopAfterReserving(runtime, writer)
    if (outcome !== 'reserved') faults.push(`a writer could not reserve: ${outcome}`)
  }
  const { seen } = await lookAt(runtime.store, [...killedWriters, ...stoppedWriters].map((command) => command.commandId), from)
  const left = [...seen.values()].filter((events) => !events.some((event) => event.stream.startsWith('customer-'))).length

  if (victim) await cluster.start(victim)
  const enter = async (number?: number) => {
    const asked = performance.now()
    const { status } = await load.settle(load.newcomer(number))
    return { status, ms: performance.now() - asked }
  }
  const undisturbed = await inTurns(Array.from({ length: 15 }), 5, () => enter())
  // Who is held up reads and appends about twice as much.
  const withinMs = world.withinMs + 2 * Math.max(...undisturbed.map(({ ms }) => ms))
  const newcomers = await inTurns([...killedWriters, ...stoppedWriters], 5, async (writer) => {
    const number = writer.gains[0]?.number ?? 0
    const { status, ms } = await enter(number)
    if (ms > withinMs || (status !== 201 && status !== 409)) faults.push(`who wanted number ${number} was answered ${status} after ${Math.round(ms)} ms, of ${Math.round(withinMs)}`)
    return { writer, number, status, ms }
  })
  const slowest = Math.max(...newcomers.map(({ ms }) => ms))
  for (const { writer, number, status } of newcomers) {
    const late = await load.settle(writer)
    if ((status === 201) === (late.status === 201)) faults.push(`number ${number}: the newcomer was answered ${status}, who had stopped ${late.status}`)
  }
  return { faults, left, slowest }
}

/** Every cell of every read model, against a replay from zero. */
export const checkModels = async ({ db, runtime: { store, codec }, placeId, analystRole }: Core): Promise<string[]> => {
  const faults: string[] = []
  for (const projection of projections) {
    const differences = await compareWithReplay({ db, store, codec, placeId, analystRole }, projection).catch((error: unknown) => {
      faults.push(`${projection.model} cannot be replayed: ${error instanceof Error ? error.message : String(error)}`)
      return []
    })
    for (const { table, onlyLive, onlyReplayed, examples } of differences) faults.push(`${projection.model}.${table}: ${onlyLive} row(s) only in use, ${onlyReplayed} only in a replay; e.g. ${examples.join(', ')}`)
  }
  return faults
}

/** Asks who is behind until nobody is, or the time is over: then tells who. */
const untilNobody = async (withinMs: number, behind: () => Promise<string[]>): Promise<string[]> => {
  const end = performance.now() + withinMs
  for (;;) {
    const left = await behind()
    if (left.length === 0 || performance.now() > end) return left
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits until every read model stands at the end of the log. */
export const modelsCaughtUp = async ({ db, runtime: { store } }: Core, withinMs: number): Promise<string[]> =>
  untilNobody(withinMs, async () => {
    const head = await store.head()
    const checkpoints = await Promise.all(projections.map(async (projection) => ({ model: projection.model, checkpoint: await readCheckpoint(db, projection) })))
    return checkpoints.flatMap(({ model, checkpoint }) =>
      (checkpoint?.ready && checkpoint.position >= head ? [] : [`${model} stands at position ${checkpoint?.position ?? 0n} of ${head}${checkpoint?.stopped ? `: ${checkpoint.stopped}` : ''}`]))
  })

/** Waits until every process has reacted to all there is, has nothing put aside, and what came of that is in the log. */
export const processesCaughtUp = async ({ processLog, runtime: { store } }: Core, withinMs: number): Promise<string[]> =>
  untilNobody(withinMs, async () => {
    const head = await store.head()
    const positions = await Promise.all(reactions.map(async ({ process }) => ({ process, position: await processLog.position(process) })))
    const parked = await processLog.parked()
    return [
      ...positions.flatMap(({ process, position }) => (position >= head ? [] : [`${process} stands at position ${position} of ${head}`])),
      ...parked.map(({ process, command, problem }) => `${process} has put ${command} aside: ${problem}`),
    ]
  })
