/**
 * Collects what is asked for while a batch is under way into the next one: many callers, one round trip. Each gets
 * its own answer, in the order asked; when a batch fails all of it fails.
 */
export const makeGroup = <Item, Answer>(send: (items: readonly Item[]) => Promise<readonly Answer[]>, most = 256) => {
  type Waiting = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void }
  let queue: Waiting[] = []
  let running: Promise<void> | undefined

  const drain = async (): Promise<void> => {
    // A turn of the event loop lets requests that arrived together travel together.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      const batch = queue.slice(0, most)
      queue = queue.slice(most)
      try {
        const answers = await send(batch.map(({ item }) => item))
        batch.forEach(({ resolve, reject }, index) => {
          const answer = answers[index]
          if (answer === undefined) reject(new Error('a batch was answered in part'))
          else resolve(answer)
        })
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    running = undefined
  }

  return {
    ask: (item: Item): Promise<Answer> => new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject })
      running ??= drain()
    }),
    /** Resolves when nothing is waiting. */
    idle: async (): Promise<void> => {
      while (running) await running
    },
  }
}
