import { asRecorded, recordedEvent } from '../domain/events.ts'
import type { Decider } from '../domain/decider.ts'
import { emptyHead, headAfter, textsOf, type Head } from '../event-store/chain.ts'
import type { Codec } from '../event-store/codec.ts'
import type { EventStore, ExpectedRevision, Position, RecordedEvent, SealedEvent } from '../event-store/port.ts'
import { recall, sizeOfJson, type Fold, type Folds } from './folds.ts'

/** A stream as a decision sees it: the state, and the head the next event attaches to. */
export type Loaded<State> = { stream: string; state: State; head: Head; position: Position }

/** The stream holds an event this program does not know: it must not decide on half of what happened. */
export class OlderThanLog extends Error {
  override name = 'OlderThanLog'
}

const PAGE = 500

type Known<State> = { loaded: Loaded<State>; bytes: number }

/** After one more event, its personal values opened. @throws OlderThanLog */
export const foldOn = <State, Event extends { type: string }>(decider: Decider<State, Event>, { loaded, bytes }: Known<State>, stored: RecordedEvent): Known<State> => {
  const event = recordedEvent(decider.parse, stored)
  if (!event) throw new OlderThanLog(`${loaded.stream} holds an event of type ${stored.type}, which this version does not know`)
  return { loaded: { stream: loaded.stream, state: decider.evolve(loaded.state, event), head: headAfter(stored), position: stored.position }, bytes: bytes + sizeOfJson(stored.data) }
}

/**
 * A stream as the log has it now. Goes on from what is known of it, if that is what the log has: a log that was
 * restored to an older state has another event at that place, or none, and is read from the start.
 * @throws OlderThanLog
 */
export const load = async <State, Event extends { type: string }>(from: { store: EventStore; codec: Codec; folds?: Folds }, decider: Decider<State, Event>, stream: string): Promise<Loaded<State>> => {
  const before = recall(from.folds, decider, stream)
  const known = before && before.loaded.head.revision >= 0 ? await readOn(from, decider, before) : undefined
  const { loaded, bytes } = known ?? (await readFrom(from, decider, { loaded: { stream, state: decider.initialState, head: emptyHead(stream), position: 0n }, bytes: 0 }, from.store.readStream(stream)))
  if (before && !known) from.folds?.drop(stream)
  from.folds?.set(stream, { decider, loaded, bytes } satisfies Fold)
  return loaded
}

/** From the last event that is known, which is read once more; undefined when it is not there. */
const readOn = async <State, Event extends { type: string }>(from: { store: EventStore; codec: Codec }, decider: Decider<State, Event>, known: Known<State>): Promise<Known<State> | undefined> => {
  const { stream, head } = known.loaded
  const events = from.store.readStream(stream, { fromRevision: head.revision })[Symbol.asyncIterator]()
  const first = await events.next()
  if (first.done || first.value.metadata.hash !== head.hash) {
    await events.return?.()
    return undefined
  }
  return readFrom(from, decider, known, { [Symbol.asyncIterator]: () => events })
}

const readFrom = async <State, Event extends { type: string }>({ codec }: { codec: Codec }, decider: Decider<State, Event>, from: Known<State>, events: AsyncIterable<RecordedEvent>): Promise<Known<State>> => {
  let known = from
  let page: RecordedEvent[] = []
  const fold = async () => {
    for (const stored of await codec.decode(page)) known = foldOn(decider, known, stored)
    page = []
  }
  for await (const event of events) {
    page.push(event)
    if (page.length === PAGE) await fold()
  }
  await fold()
  return known
}

export const expectedRevision = (head: Head): ExpectedRevision => (head.revision < 0 ? 'no_stream' : head.revision)

/** What has just been appended is known, personal values open as they were decided: the next command need not read it. */
export const remember = <State, Event extends { type: string }>(folds: Folds | undefined, decider: Decider<State, Event>, { stream, state, head }: Loaded<State>, decided: readonly Event[], appended: readonly SealedEvent[], position: Position): void => {
  if (!folds) return
  const known = appended.reduce((before, sealed, index) => {
    const recorded = { ...sealed, stream, revision: head.revision + 1 + index, position }
    const event = decided[index]
    return { state: event ? decider.evolve(before.state, asRecorded(event, recorded)) : before.state, head: headAfter(recorded), bytes: before.bytes + 2 * textsOf(sealed).data.length }
  }, { state, head, bytes: folds.get(stream)?.bytes ?? 0 })
  folds.set(stream, { decider, loaded: { stream, state: known.state, head: known.head, position }, bytes: known.bytes })
}
