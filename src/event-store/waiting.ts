export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })

/** Growing pauses with jitter: `first` ms (25 unless told) doubling to a second, each between half and all of it. */
export const backoff = (attempt: number, first = 25): number => Math.min(1000, first * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2)

/** What `work` gives, if it does within `ms`; else rejects with `late`. The work itself goes on. */
export const within = async <T>(ms: number, late: () => Error, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms)
  })
  return Promise.race([work, tooLate]).finally(() => clearTimeout(timer))
}

/** The same items, each fetched while the one before it is worked on. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (let next = iterator.next(); ; ) {
      const { value, done } = await next
      if (done) return
      next = iterator.next()
      // Whoever asks for it is told; nobody may.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}

/** What `work` gives; undefined as soon as the signal aborts. The work itself goes on. */
export const orAborted = async <T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T | undefined> => {
  if (!signal) return work
  let done: () => void = () => undefined
  const aborted = new Promise<undefined>((resolve) => {
    done = () => resolve(undefined)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
  // Unheard, what fails after the signal would end the process.
  work.catch(() => undefined)
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', done))
}

/** Nothing came back from Postgres in the time a query may take. */
export const isTimeout = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout'
