/**
 * Collects what is asked for while a batch is under way into the next one: many callers, one round trip. Each gets
 * its own answer, in the order asked; when a batch fails all of it fails. `lanes`: batches under way at once.
 * `halves`: of what waits half is sent first, so that one half is made use of while the other is looked up.
 */
export const makeGroup = <Item, Answer>(send: (items: readonly Item[]) => Promise<readonly Answer[]>, { most = 256, lanes = 1, halves = false } = {}) => {
  type Waiting = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void }
  let queue: Waiting[] = []
  let sending = 0
  const running = new Set<Promise<void>>()

  const drain = async (): Promise<void> => {
    // A turn of the event loop lets requests that arrived together travel together.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      const share = halves && sending === 0 ? Math.min(most, Math.ceil(queue.length / 2)) : most
      const batch = queue.slice(0, share)
      queue = queue.slice(share)
      sending += 1
      try {
        const answers = await send(batch.map(({ item }) => item))
        batch.forEach(({ resolve, reject }, index) => {
          const answer = answers[index]
          if (answer === undefined) reject(new Error('a batch was answered in part'))
          else resolve(answer)
        })
      } catch (error) {
        for (const { reject } of batch) reject(error)
      } finally {
        sending -= 1
      }
    }
  }
  /** In one step with the last look at the queue: what is asked a moment later begins another. */
  const begin = (): void => {
    const one: Promise<void> = drain().finally(() => {
      running.delete(one)
      if (queue.length > 0 && running.size < lanes) begin()
    })
    running.add(one)
  }

  return {
    ask: (item: Item): Promise<Answer> => new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject })
      if (running.size < lanes) begin()
    }),
    /** Resolves when nothing is waiting. */
    idle: async (): Promise<void> => {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
