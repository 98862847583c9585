import { z } from 'zod'
import { chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import type { EventStore, RecordedEvent } from '../../src/event-store/port.ts'
import type { Core } from '../../src/main.ts'
import { projections } from '../../src/projections/all.ts'
import { readCheckpoint } from '../../src/projections/checkpoint.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import type { Service } from './cluster.ts'
import { post, type Answered } from './load.ts'

const Identifiers = z.object({ identifiers: z.array(z.object({ identity: z.string() })) })
const Identity = z.object({ identity: z.string() })
const Reserved = z.object({ customerId: z.string(), epoch: z.number() })
const Accepted = z.looseObject({ streamId: z.string(), revision: z.number(), position: z.string(), events: z.array(z.object({ id: z.string(), type: z.string(), revision: z.number() })) })

type Effect = { id: string; stream: string; type: string; revision: number; position: bigint }

/** The whole log, read once: what it says of itself, and what the other checks need of it. */
export type LogReport = {
  faults: string[]
  events: number
  /** What each command did to customers, but for fences. */
  effects: Map<string, Effect[]>
  /** Identities reserved for a customer that does not hold them, and whether the reservation is still good. */
  reservedOnly: { identity: string; valid: boolean }[]
  holders: Map<string, string>
}

export const readLog = async (store: EventStore): Promise<LogReport> => {
  const faults: string[] = []
  const heads = new Map<string, Head>()
  const ids = new Set<string>()
  const effects = new Map<string, Effect[]>()
  const holders = new Map<string, string>()
  const reserved = new Map<string, { customerId: string; epoch: number }>()
  const epochs = new Map<string, number>()
  let position = 0n

  const gain = (event: RecordedEvent, identity: string) => {
    const customerId = event.stream.slice('customer-'.length)
    const holder = holders.get(identity)
    if (holder !== undefined && holder !== customerId) faults.push(`at position ${event.position} ${identity} comes to be held by ${customerId} and is held by ${holder}`)
    holders.set(identity, customerId)
    const reservation = reserved.get(identity)
    if (reservation?.customerId !== customerId) faults.push(`at position ${event.position} ${customerId} comes to hold ${identity} without a reservation`)
  }
  const fold = (event: RecordedEvent) => {
    const bump = () => epochs.set(event.stream, (epochs.get(event.stream) ?? 0) + 1)
    switch (event.type) {
      case 'CustomerCreated':
        for (const { identity } of Identifiers.parse(event.data).identifiers) gain(event, identity)
        break
      case 'IdentifierAdded':
        gain(event, Identity.parse(event.data).identity)
        break
      case 'IdentifierReleased':
        holders.delete(Identity.parse(event.data).identity)
        bump()
        break
      case 'EntryAbandoned':
        bump()
        break
      case 'IdentityReserved':
        reserved.set(event.stream.slice('identity-'.length), Reserved.parse(event.data))
        break
      case 'IdentityReleased':
        reserved.delete(event.stream.slice('identity-'.length))
        break
    }
  }

  for await (const batch of store.readAll({ after: 0n, batchSize: 5000 })) {
    for (const event of batch.events) {
      position += 1n
      if (event.position !== position) {
        faults.push(`position ${event.position} follows ${position - 1n}`)
        position = event.position
      }
      const fault = chainFault(event, heads.get(event.stream) ?? emptyHead(event.stream))
      if (fault !== undefined) faults.push(`position ${event.position} (${event.stream}, revision ${event.revision}): ${fault}`)
      heads.set(event.stream, headAfter(event))
      if (ids.has(event.id)) faults.push(`the event id at position ${event.position} is there twice`)
      ids.add(event.id)
      fold(event)
      if (event.stream.startsWith('customer-') && event.type !== 'EntryAbandoned') {
        const { commandId } = event.metadata
        effects.set(commandId, [...(effects.get(commandId) ?? []), { id: event.id, stream: event.stream, type: event.type, revision: event.revision, position: event.position }])
      }
    }
  }
  const reservedOnly = [...reserved].flatMap(([identity, { customerId, epoch }]) =>
    holders.get(identity) === customerId ? [] : [{ identity, valid: epoch === (epochs.get(`customer-${customerId}`) ?? 0) }])
  return { faults, events: Number(position), effects, reservedOnly, holders }
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

/** Every cell of every read model, against a replay from zero. */
export const checkModels = async ({ db, runtime: { store, codec }, placeId, analystRole }: Core): Promise<string[]> => {
  const faults: string[] = []
  for (const projection of projections) {
    const differences = await compareWithReplay({ db, store, codec, placeId, analystRole }, projection)
    for (const { table, onlyLive, onlyReplayed, examples } of differences) faults.push(`${projection.model}.${table}: ${onlyLive} row(s) only in use, ${onlyReplayed} only in a replay; e.g. ${examples.join(', ')}`)
  }
  return faults
}

/** Waits until every read model stands at the end of the log. */
export const modelsCaughtUp = async ({ db, runtime: { store } }: Core, withinMs: number): Promise<string[]> => {
  const end = performance.now() + withinMs
  for (;;) {
    const head = await store.head()
    const behind: string[] = []
    for (const projection of projections) {
      const checkpoint = await readCheckpoint(db, projection)
      if (!checkpoint?.ready || checkpoint.position < head) behind.push(`${projection.model} stands at position ${checkpoint?.position ?? 0n} of ${head}${checkpoint?.stopped ? `: ${checkpoint.stopped}` : ''}`)
    }
    if (behind.length === 0) return []
    if (performance.now() > end) return behind
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
