import { identity } from '../domain/identity/identity.ts'
import { portfolio } from '../domain/portfolio/portfolio.ts'
import { revisionBefore, sizeOf } from '../event-store/joined.ts'
import { EventStoreUnavailable, kindOf, type AppendResult, type AppendWithReceipt, type EventStore, type RecordedEvent } from '../event-store/port.ts'
import type { Fold } from './folds.ts'
import type { Runtime } from './runtime.ts'

/** A run is appended when it has so many events, or before it would have so many bytes of them. */
const MOST_EVENTS = 100
const MOST_BYTES = 128 * 1024

/** The command does something that may only be done when all before it is in the log. */
class NotTogether extends Error {
  override name = 'NotTogether'
}

type Work<Answer> = (runtime: Runtime) => Promise<Answer>
type Joined<Answer> = { answer: Promise<Answer> }
type Buffered = { append: AppendWithReceipt; settle: (result: AppendResult) => void; fail: (error: unknown) => void; done: Promise<void> }

/**
 * Commands to one stream whose events are appended in one go. Each is handled as ever, on a view of the log in which
 * those before it have been appended already; its own append waits for the run's. So each has its own events, receipt
 * and answer, and they are all in the log or none is.
 *
 * What a command does besides one append to the stream (a reservation, a refusal or a no-op, which go on record)
 * must not rest on what is not in the log yet. A command that is about to do it, or ends without an append, is dropped
 * before anything has happened, and run again when the run is in. The first of a run rests on nothing but the log: it
 * may do anything, and is then a run of its own.
 */
export const makeRun = (runtime: Runtime, stream: string) => {
  const { store } = runtime
  const buffered: Buffered[] = []
  const recorded: RecordedEvent[] = []
  const commands = new Set<string>()
  let bytes = 0
  let fold: Fold | undefined
  let open = true

  /** What the log has up to the run, and then the run. */
  async function* readBuffered(base: number, fromRevision: number): AsyncIterable<RecordedEvent> {
    if (fromRevision <= base) for await (const event of store.readStream(stream, { fromRevision })) if (event.revision <= base) yield event
    yield* recorded.filter(({ revision }) => revision >= fromRevision)
  }

  /** What a command sees until its append has come to something; from then on the log itself. */
  const makeView = (first: boolean, hold: (append: AppendWithReceipt) => Promise<AppendResult>, hasEnded: () => boolean) => {
    let byItself = false
    const through = () => byItself || hasEnded()
    const isOurs = (name: string) => !through() && name === stream
    const known = () => fold ?? runtime.folds?.get(stream)
    /** Before what only a command by itself may do. */
    const alone = (): void => {
      if (through()) return
      if (!first) throw new NotTogether()
      byItself = true
      open = false
    }
    const viewed: EventStore = {
      ...store,
      readStream: async function* (name, options) {
        // It is about to reserve. What it does should it have to give up names what it has read: that must be in the log.
        if ([identity.kind, portfolio.kind].includes(kindOf(name))) alone()
        const [base] = through() || name !== stream ? [] : buffered
        yield* base ? readBuffered(revisionBefore(base.append), options?.fromRevision ?? 0) : store.readStream(name, options)
      },
      append: async (append) => {
        const { receipt } = append
        if (!through() && receipt && append.stream === stream && fits({ ...append, receipt })) return hold({ ...append, receipt })
        alone()
        return store.append(append)
      },
      appendTogether: async (appends) => {
        alone()
        return store.appendTogether(appends)
      },
      receipts: {
        ...store.receipts,
        record: async (receipt, attempt) => {
          alone()
          return store.receipts.record(receipt, attempt)
        },
        recordAttempt: async (attempt) => {
          alone()
          return store.receipts.recordAttempt(attempt)
        },
      },
    }
    const { observe } = runtime
    const view: Runtime = {
      ...runtime,
      store: viewed,
      sleep: async (ms) => {
        alone()
        return runtime.sleep(ms)
      },
      folds: {
        get: (name) => (isOurs(name) ? known() : runtime.folds?.get(name)),
        set: (name, loaded) => {
          if (isOurs(name)) fold = loaded
          else runtime.folds?.set(name, loaded)
        },
        drop: (name) => {
          if (isOurs(name)) fold = undefined
          else runtime.folds?.drop(name)
        },
        isBehind: (name) => isOurs(name) && (known()?.loaded.head.revision ?? -1) < (recorded.at(-1)?.revision ?? -1),
      },
      ...(observe && {
        // Of one that is dropped nothing is told: it will be run again.
        observe: (...told) => {
          if (first || through()) observe(...told)
        },
      }),
    }
    return view
  }

  const bytesOf = ({ events }: AppendWithReceipt): number => events.reduce((sum, event) => sum + sizeOf(event), 0)
  /** Not the same command once more: it is to be answered from the receipt that the run will leave. */
  const fits = (append: AppendWithReceipt): boolean => buffered.length === 0 || (bytes + bytesOf(append) <= MOST_BYTES && !commands.has(append.receipt.commandId))

  /**
   * Runs a command as the next of the run. Answers when another may follow: with the command's answer to be; with
   * undefined when it does not fit in, and nothing has come of it.
   */
  const join = async <Answer>(work: Work<Answer>): Promise<Joined<Answer> | undefined> => {
    const first = buffered.length === 0
    let waits: (waiting: true) => void = () => undefined
    const waiting = new Promise<true>((resolve) => (waits = resolve))
    let ended = false
    const hold = (append: AppendWithReceipt) => new Promise<AppendResult>((resolve, reject) => {
      const end = (come: () => void) => {
        ended = true
        come()
      }
      const before = revisionBefore(append)
      buffered.push({ append, settle: (result) => end(() => resolve(result)), fail: (error) => end(() => reject(error)), done: settled })
      append.events.forEach((event, index) => recorded.push({ ...event, stream, revision: before + 1 + index, position: 0n }))
      commands.add(append.receipt.commandId)
      bytes += bytesOf(append)
      if (recorded.length >= MOST_EVENTS || bytes >= MOST_BYTES) open = false
      waits(true)
    })
    // A turn later: so that `settled` is there before the command can have come to its append.
    const answer = Promise.resolve(makeView(first, hold, () => ended)).then(work)
    const settled: Promise<void> = answer.then(() => undefined, () => undefined)
    if (await Promise.race([waiting, settled])) return { answer }
    open = false
    return first ? { answer } : undefined
  }

  const append = async (): Promise<readonly AppendResult[]> => {
    const appends = buffered.map((one) => one.append)
    const [only] = appends
    if (only && appends.length === 1) return [await store.append(only)]
    try {
      return await store.appendTogether(appends)
    } catch (error) {
      if (error instanceof EventStoreUnavailable) throw error
      // Something in it cannot be stored: each by itself tells which.
      return appends.map(({ expectedRevision: actualRevision }) => ({ outcome: 'conflict', actualRevision }))
    }
  }

  /** Appends the run, and waits until each of its commands has done what follows from that: one after the other, so that those that must decide again do it in their order. */
  const flush = async (): Promise<void> => {
    open = false
    if (buffered.length === 0) return
    const outcome = await append().then((results) => ({ results }), (error: unknown) => ({ error }))
    for (const [index, { settle, fail, done }] of buffered.entries()) {
      const result = 'results' in outcome ? outcome.results[index] : undefined
      if (result) settle(result)
      else fail('error' in outcome ? outcome.error : new Error('an append was not answered'))
      await done
    }
  }

  return { join, flush, isOpen: () => open }
}

/** A command that waits, and what takes its answer. */
export type Waiting<Answer> = { work: Work<Answer>; answer: (answer: Promise<Answer>) => void }

/**
 * Runs the first of those that wait for a stream, and with it those behind it that can be appended together with it:
 * as long as there is one at hand, and the run takes more. Those it has run are taken off the list. With `together`
 * false it is the first alone.
 */
export const runTogether = async <Answer>(runtime: Runtime, stream: string, waiting: Waiting<Answer>[], together = true): Promise<void> => {
  const run = makeRun(runtime, stream)
  for (let next = waiting[0]; next && run.isOpen(); next = waiting[0]) {
    const joined = await run.join(next.work)
    if (!joined) break
    waiting.shift()
    next.answer(joined.answer)
    if (!together) break
  }
  await run.flush()
}
