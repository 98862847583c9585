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
