import { recordedEvent } from '../domain/events.ts'
import type { Decider } from '../domain/decider.ts'
import { emptyHead, headAfter, type Head } from '../event-store/chain.ts'
import type { Codec } from '../event-store/codec.ts'
import type { EventStore, ExpectedRevision, Position, RecordedEvent } from '../event-store/port.ts'

/** A stream as a decision sees it: the state, and the head the next event attaches to. */
export type Loaded<State> = { stream: string; state: State; head: Head; position: Position }

/** What was loaded last of a stream, by the decider that folded it: to go on from, where nothing but more events can have come. */
export type Fold = { decider: object; loaded: Loaded<unknown> }
export type Folds = { get: (stream: string) => Fold | undefined; set: (stream: string, fold: Fold) => void }

const isBy = <State, Event>(fold: Fold | undefined, decider: Decider<State, Event>): fold is { decider: object; loaded: Loaded<State> } => fold?.decider === decider

/** The stream holds an event this program does not know: it must not decide on half of what happened. */
export class OlderThanLog extends Error {
  override name = 'OlderThanLog'
}

const PAGE = 500

export const load = async <State, Event extends { type: string }>(from: { store: EventStore; codec: Codec; folds?: Folds }, decider: Decider<State, Event>, stream: string): Promise<Loaded<State>> => {
  const before = from.folds?.get(stream)
  let loaded: Loaded<State> = isBy(before, decider) ? before.loaded : { stream, state: decider.initialState, head: emptyHead(stream), position: 0n }
  const fold = async (page: RecordedEvent[]) => {
    for (const stored of await from.codec.decode(page)) {
      const event = recordedEvent(decider.parse, stored)
      if (!event) throw new OlderThanLog(`${stream} holds an event of type ${stored.type}, which this version does not know`)
      loaded = { stream, state: decider.evolve(loaded.state, event), head: headAfter(stored), position: stored.position }
    }
  }
  let page: RecordedEvent[] = []
  for await (const event of from.store.readStream(stream, { fromRevision: loaded.head.revision + 1 })) {
    page.push(event)
    if (page.length === PAGE) {
      await fold(page)
      page = []
    }
  }
  await fold(page)
  from.folds?.set(stream, { decider, loaded })
  return loaded
}

export const expectedRevision = (head: Head): ExpectedRevision => (head.revision < 0 ? 'no_stream' : head.revision)
