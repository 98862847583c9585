import type { Append, AppendResult, EventStore } from '../../src/event-store/port.ts'

/**
 * Several attempts against one store, one step at a time, in the order a test chooses. A step is one atomic read of
 * a whole stream, one append, or one sleep; each attempt stands before its next step until it is let go. An attempt
 * that is never let go again has crashed, as far as anybody can tell. What is not of a customer, an identity or a portfolio
 * (the organisation, receipts) happens together with the step before it.
 */
export type Step =
  | { does: 'start' }
  | { does: 'read'; stream: string }
  | { does: 'append'; stream: string; types: string[]; outcome?: AppendResult['outcome'] }
  | { does: 'sleep'; ms: number }
  | { does: 'ask'; what: string }

/**
 * How time goes by for an attempt during a step. `punctual`: a sleep takes as long as it was asked for, all else no
 * time. `late`: hours pass wherever it looks at the clock, as for a process that was stopped: it never waits.
 */
export type Pace = 'punctual' | 'late'

/** What an attempt sees of the world. */
export type View = {
  store: EventStore
  elapsed: () => number
  sleep: (ms: number) => Promise<void>
  /** Before something else is asked that takes a step of its own. */
  ask: (what: string) => Promise<void>
}

export type Stepped<Answer> = {
  name: string
  /** The step it stands before; undefined when it is done. */
  waitsTo: () => Step | undefined
  /** Lets it take the step, and go on until it stands before its next one. Answers the step as taken. Throws what the attempt threw. */
  next: (pace?: Pace) => Promise<Step>
  /** What it came to; undefined until it is done. */
  answer: () => Answer | undefined
  /** Milliseconds that have gone by for it. */
  elapsed: () => number
}

const HOURS = 10_000_000
/** Turns of the event loop in which an attempt must come to stand: no step needs a timer or a socket. */
const MOST_TURNS = 1000

const isStepped = (stream: string) => ['customer-', 'identity-', 'portfolio-'].some((kind) => stream.startsWith(kind))

export const stepped = (store: EventStore) => <Answer>(name: string, work: (view: View) => Promise<Answer>): Stepped<Answer> => {
  let gate: { step: Step; open: () => void } | undefined
  let end: { answer: Answer } | { error: unknown } | undefined
  let elapsed = 0
  let pace: Pace = 'punctual'

  const standBefore = <S extends Step>(step: S): Promise<S> =>
    new Promise((resolve, reject) => {
      if (gate) reject(new Error(`${name} takes two steps at once: ${JSON.stringify([gate.step, step])}`))
      else gate = { step, open: () => resolve(step) }
    })

  const standBeforeAppend = (appends: readonly Append[]) =>
    standBefore<Extract<Step, { does: 'append' }>>({ does: 'append', stream: appends[0]?.stream ?? '', types: appends.flatMap(({ events }) => events.map((event) => event.type)) })

  const view: View = {
    store: {
      ...store,
      readStream: (stream, options) => (isStepped(stream) ? readWhole(stream, options) : store.readStream(stream, options)),
      append: async (append) => {
        if (!isStepped(append.stream)) return store.append(append)
        const step = await standBeforeAppend([append])
        const result = await store.append(append)
        step.outcome = result.outcome
        return result
      },
      appendTogether: async (appends) => {
        const step = await standBeforeAppend(appends)
        const results = await store.appendTogether(appends)
        // What the first came to, came all of them to, unless a receipt was there.
        step.outcome = results.find(({ outcome }) => outcome !== 'conflict')?.outcome ?? 'conflict'
        return results
      },
    },
    elapsed: () => {
      if (pace === 'late') elapsed += HOURS
      return elapsed
    },
    sleep: async (ms) => {
      await standBefore({ does: 'sleep', ms })
      elapsed += pace === 'late' ? HOURS : ms
    },
    ask: async (what) => {
      await standBefore({ does: 'ask', what })
    },
  }
  async function* readWhole(stream: string, options?: { fromRevision?: number }) {
    await standBefore({ does: 'read', stream })
    yield* await Array.fromAsync(store.readStream(stream, options))
  }

  const begin = async () => {
    await standBefore({ does: 'start' })
    end = await work(view).then((answer) => ({ answer }), (error: unknown) => ({ error }))
  }
  void begin()

  const next = async (given: Pace = 'punctual'): Promise<Step> => {
    if (!gate) throw new Error(`${name} has no step left to take`)
    const { step, open } = gate
    gate = undefined
    pace = given
    open()
    // Only this one runs: when it stands before a step again or is done, so does everything it started.
    for (let turn = 0; gate === undefined && end === undefined; turn += 1) {
      if (turn === MOST_TURNS) throw new Error(`${name} neither goes on nor is done after ${JSON.stringify(step)}`)
      await new Promise(setImmediate)
    }
    if (end && 'error' in end) throw end.error
    return step
  }

  return { name, waitsTo: () => gate?.step, next, answer: () => (end && 'answer' in end ? end.answer : undefined), elapsed: () => elapsed }
}
