import { v7 as uuidv7 } from 'uuid'
import type { KeyedHash } from '../../commands/keyed-hash.ts'
import * as system from '../../domain/system/system.ts'
import { emptyHead, headAfter, type Head } from '../../event-store/chain.ts'
import { makeCodec } from '../../event-store/codec.ts'
import { CopyFault } from '../../event-store/copy.ts'
import type { EventStore, RecordedEvent } from '../../event-store/port.ts'

/** What a log says of itself on its own stream, and where that stream ends. */
export type KnownLog = { log: system.Log; head: Head }

/** Undefined for a store without a log. */
export const readKnownLog = async (store: Pick<EventStore, 'readStream'>): Promise<KnownLog | undefined> => {
  let log: system.Log | null = null
  let head = emptyHead(system.stream)
  for await (const event of store.readStream(system.stream)) {
    head = headAfter(event)
    const known = system.parse(event.type, event.data)
    if (known) log = system.evolve(log, known)
  }
  return log ? { log, head } : undefined
}

/** Whether the log was at `place` and has been copied away since, to where `copy` is. */
export const isCompleted = (source: system.Log, copy: system.Log | undefined): boolean =>
  copy !== undefined && copy.logId === source.logId && copy.places.length > source.places.length && source.places.every((place, index) => copy.places[index] === place)

/** The event with which a copy of the log at `place` was completed. */
export const completes = (event: RecordedEvent, { places }: system.Log): boolean => {
  const known = event.stream === system.stream ? system.parse(event.type, event.data) : undefined
  return known?.type === 'LogCopied' && known.data.fromPlaceId === places.at(-1)
}

// Nothing in it is personal: no key is ever asked for.
const codec = makeCodec({ find: async () => new Map(), ensure: async () => new Map(), rotate: async () => 0 })

/** Says in the target that it is a whole copy, under a place of its own. Answers that place. */
export const appendCopied = async (store: EventStore, keyedHash: KeyedHash): Promise<string> => {
  const known = await readKnownLog(store)
  const fromPlaceId = known?.log.places.at(-1)
  if (!known || fromPlaceId === undefined) throw new CopyFault('The target holds no log to complete')
  const commandId = uuidv7()
  const placeId = uuidv7()
  const metadata = { commandId, commandHash: keyedHash.command({ command: 'copy-log' }), actor: 'operator', $correlationId: commandId, $causationId: commandId }
  const events = await codec.encode(system.stream, known.head, [{ type: 'LogCopied', schemaVersion: 1, data: { fromPlaceId, placeId } }], metadata, new Date().toISOString())
  const { outcome } = await store.append({ stream: system.stream, expectedRevision: known.head.revision, events })
  if (outcome !== 'appended') throw new CopyFault('Another copy was completed at this moment: run the same again to see')
  return placeId
}
