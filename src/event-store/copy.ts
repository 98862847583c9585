import { chainFault, emptyHead, headAfter, type Head } from './chain.ts'
import { sizeOf } from './joined.ts'
import { EventStoreUnavailable, MAX_APPEND_BYTES, type Append, type EventStore, type Position, type RecordedEvent, type SealedEvent } from './port.ts'
import { backoff, pause } from './waiting.ts'

/*
 * A log copied event by event: the same ids, bytes and order, so that ordinals and hash chains stay what they are and
 * only positions change. At any moment the target is an exact beginning of the source, whatever dies in between: that
 * is what a copy is resumed from, and anything else in the target is refused.
 */

/** What copying needs of a store. */
export type Log = Pick<EventStore, 'append' | 'readAll'>
type Side = 'source' | 'target'

/** The copy cannot be made, or is not one. Its message says in one line what is in the way. */
export class CopyFault extends Error {
  override name = 'CopyFault'
}

/** `events`: how many have been gone through; `position`: of the last one in the source. */
export type CopyProgress = { doing: 'comparing' | 'copying'; events: number; position: Position }

/** How a target compares. `events` is how many the two have in common, from the first one on. */
export type Comparison =
  | { kind: 'same'; events: number }
  | { kind: 'behind'; events: number }
  /** The target goes on after the end of the source. */
  | { kind: 'ahead'; events: number; next: RecordedEvent }
  | { kind: 'different'; events: number; inSource: RecordedEvent; inTarget: RecordedEvent }

/** Appends under way at once, and their bytes. */
const IN_FLIGHT = 512
const IN_FLIGHT_BYTES = 8 * 1024 * 1024
const PAGE = 1000
/** How long a log that is out of reach is asked again. */
const PATIENCE_MS = 60_000

export type Copy = {
  /** Reads both logs on from where they were last found the same, checking every hash chain on both sides. */
  compare: () => Promise<Comparison>
  /** Appends to the target what the source has beyond what was found the same. Nothing that is damaged is copied. */
  copyOn: () => Promise<number>
  /**
   * Copies and compares until all of the source is in the target and the source stood still meanwhile.
   * `onMoved` is told when it did not; after `rounds` of that it is given up.
   */
  finish: (options?: { rounds?: number; onMoved?: () => void }) => Promise<number>
}

/** @throws CopyFault, EventStoreUnavailable naming the side that is out of reach */
export const makeCopy = (source: Log, target: Log, onProgress: (progress: CopyProgress) => void = () => undefined): Copy => {
  const heads = new Map<string, Head>()
  const common = { events: 0, source: 0n, target: 0n }

  const compare = async (): Promise<Comparison> => {
    const inSource = eventsOf('source', source, common.source)[Symbol.asyncIterator]()
    const inTarget = eventsOf('target', target, common.target)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const [one, other] = await Promise.all([inSource.next(), inTarget.next()])
        const { events } = common
        if (one.done) return other.done ? { kind: 'same', events } : { kind: 'ahead', events, next: other.value }
        if (other.done) return { kind: 'behind', events }
        const head = heads.get(one.value.stream) ?? emptyHead(one.value.stream)
        checkChain('source', one.value, head)
        if (!isSame(one.value, other.value)) return { kind: 'different', events, inSource: one.value, inTarget: other.value }
        checkChain('target', other.value, head)
        heads.set(one.value.stream, headAfter(one.value))
        Object.assign(common, { events: events + 1, source: one.value.position, target: other.value.position })
        onProgress({ doing: 'comparing', events: common.events, position: common.source })
      }
    } finally {
      await Promise.all([inSource.return?.(undefined), inTarget.return?.(undefined)])
    }
  }

  const copyOn = async (): Promise<number> => {
    const copied = new Map<string, Head>()
    async function* sound(): AsyncIterable<RecordedEvent> {
      for await (const event of eventsOf('source', source, common.source)) {
        checkChain('source', event, copied.get(event.stream) ?? heads.get(event.stream) ?? emptyHead(event.stream))
        copied.set(event.stream, headAfter(event))
        yield event
      }
    }
    let events = 0
    let last = common.target
    let underWay: Promise<void> | undefined
    const send = async (run: readonly Run[]): Promise<void> => {
      last = await appendInOrder(target, run, last)
      events += run.reduce((sum, { append }) => sum + append.events.length, 0)
      onProgress({ doing: 'copying', events: common.events + events, position: run.at(-1)?.position ?? common.source })
    }
    try {
      // While one run is under way the next is read and checked.
      for await (const run of runsOf(sound())) {
        await underWay
        underWay = send(run)
        underWay.catch(() => undefined)
      }
    } finally {
      await underWay
    }
    return events
  }

  const finish: Copy['finish'] = async ({ rounds = 3, onMoved } = {}) => {
    for (let round = 1; ; round += 1) {
      await copyOn()
      const first = await compare()
      const again = first.kind === 'same' ? await compare() : first
      if (again.kind === 'different' || again.kind === 'ahead') throw new CopyFault(differenceOf(again))
      if (again.kind === 'same' && again.events === first.events) return again.events
      if (round === rounds) throw new CopyFault('Somebody still writes to the source: stop every service on it, then run the same again; what has been copied stays')
      onMoved?.()
    }
  }

  return { compare, copyOn, finish }
}

/** In words, where the target is not a beginning of the source. */
export const differenceOf = (found: Comparison): string => {
  if (found.kind === 'different') return `The target is not a copy of the source: event ${found.events + 1} is ${placeOf(found.inSource)} in the source and ${placeOf(found.inTarget)} in the target`
  if (found.kind === 'ahead') return `The target is not a copy of the source: after the ${found.events} event(s) of the source it goes on with ${placeOf(found.next)}`
  return ''
}

const placeOf = ({ id, type, stream, revision }: RecordedEvent): string => `${type} ${id} (${stream}, revision ${revision})`

const isSame = (one: RecordedEvent, other: RecordedEvent): boolean =>
  one.stream === other.stream && one.revision === other.revision && one.id === other.id && one.type === other.type && one.metadata.hash === other.metadata.hash

const checkChain = (side: Side, event: RecordedEvent, head: Head): void => {
  const fault = chainFault(event, head)
  if (fault !== undefined) throw new CopyFault(`The ${side} is damaged: ${placeOf(event)}, position ${event.position}: ${fault}`)
}

/** The log after a position up to where it ends, event by event, the next page being read meanwhile. Out of reach for a while, it is read on. */
async function* eventsOf(side: Side, log: Log, after: Position): AsyncGenerator<RecordedEvent, void, undefined> {
  let last = after
  let failingSince: number | undefined
  for (let attempt = 0; ; attempt += 1) {
    try {
      for await (const { events } of ahead(log.readAll({ after: last, batchSize: PAGE }))) {
        attempt = 0
        failingSince = undefined
        for (const event of events) {
          last = event.position
          yield event
        }
      }
      return
    } catch (error) {
      if (!(error instanceof EventStoreUnavailable)) throw error instanceof CopyFault ? error : new CopyFault(`The ${side} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      failingSince ??= performance.now()
      if (performance.now() - failingSince > PATIENCE_MS) throw new EventStoreUnavailable(`the ${side} is out of reach: ${error.message}`, { cause: error })
      await pause(backoff(attempt, 100))
    }
  }
}

async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (let next = iterator.next(); ;) {
      const { done, value } = await next
      if (done) return
      next = iterator.next()
      // Waited for in the next turn, or not at all.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    await iterator.return?.().catch(() => undefined)
  }
}

/** An append, and where its last event stands in the source. */
type Run = { append: Append; position: Position; bytes: number }

/**
 * Events that follow one another on one stream, as one append. What goes together depends on nothing but the log:
 * an append that a killed copy left on its way meets itself when the copy is resumed, never a part of itself.
 */
async function* appendsOf(events: AsyncIterable<RecordedEvent>): AsyncIterable<Run> {
  let run: Run | undefined
  let together: SealedEvent[] = []
  for await (const { stream, revision, position, ...sealed } of events) {
    const bytes = sizeOf(sealed)
    if (run && run.append.stream === stream && run.bytes + bytes <= MAX_APPEND_BYTES) {
      together.push(sealed)
      run = { ...run, position, bytes: run.bytes + bytes }
    } else {
      if (run) yield run
      together = [sealed]
      run = { append: { stream, expectedRevision: revision === 0 ? 'no_stream' : revision - 1, events: together }, position, bytes }
    }
  }
  if (run) yield run
}

/** Appends that may be under way together: each to a stream of its own. */
async function* runsOf(events: AsyncIterable<RecordedEvent>): AsyncIterable<Run[]> {
  let run: Run[] = []
  let streams = new Set<string>()
  let bytes = 0
  for await (const next of appendsOf(events)) {
    if (run.length === IN_FLIGHT || streams.has(next.append.stream) || (run.length > 0 && bytes + next.bytes > IN_FLIGHT_BYTES)) {
      yield run
      run = []
      streams = new Set()
      bytes = 0
    }
    run.push(next)
    streams.add(next.append.stream)
    bytes += next.bytes
  }
  if (run.length > 0) yield run
}

/**
 * Hands over a run at once: both adapters carry it out in that order. The first goes ahead alone: a server that is just
 * coming up might refuse it and take those behind it. None stays under way when this settles. Positions tell whether
 * the order held all the same.
 */
const appendInOrder = async (target: Log, run: readonly Run[], after: Position): Promise<Position> => {
  const results = await Promise.allSettled(run.slice(0, 1).map(({ append }) => target.append(append)))
  if (results[0]?.status === 'fulfilled') results.push(...(await Promise.allSettled(run.slice(1).map(({ append }) => target.append(append)))))
  let last = after
  for (const [index, result] of results.entries()) {
    const stream = run[index]?.append.stream ?? ''
    if (result.status === 'rejected') {
      throw result.reason instanceof EventStoreUnavailable ? new EventStoreUnavailable(`the target is out of reach: ${result.reason.message}`, { cause: result.reason }) : result.reason
    }
    if (result.value.outcome !== 'appended') throw new CopyFault(`The target has taken something else on ${stream} meanwhile: is somebody writing to it? What it holds is compared when the same is run again`)
    if (result.value.position <= last) throw new CopyFault(`The target has taken ${stream} out of turn, as a server may that restarts: the order of the log is lost there. Start over with an empty target (another prefix, another database)`)
    last = result.value.position
  }
  return last
}
