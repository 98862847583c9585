import type { Keyring } from '../../event-store/keyring.ts'

type Ask = Keyring['find']
type Waiting = { subjects: readonly string[]; resolve: (keys: Awaited<ReturnType<Ask>>) => void; reject: (error: unknown) => void }

/**
 * The same keyring, asked for many at once: whoever asks while a question is under way is in the next one. A new
 * customer has a new key, and its row a commit of its own; of a file of customers sixty share one.
 */
export const groupKeys = (keyring: Keyring): Keyring => ({ ...keyring, find: grouped(keyring.find), ensure: grouped(keyring.ensure) })

const grouped = (ask: Ask): Ask => {
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined

  const drain = async (): Promise<void> => {
    await new Promise(setImmediate)
    while (waiting.length > 0) {
      const together = waiting
      waiting = []
      await answer(together)
    }
    running = undefined
  }

  const answer = async (together: readonly Waiting[]): Promise<void> => {
    try {
      const keys = await ask(together.flatMap((one) => one.subjects))
      for (const one of together) one.resolve(keys)
    } catch (error) {
      const [first, ...others] = together
      if (first && others.length === 0) first.reject(error)
      // One key that cannot be had fails whoever wants it, and nobody else.
      else for (const one of together) await answer([one])
    }
  }

  return (subjects) =>
    new Promise((resolve, reject) => {
      waiting.push({ subjects, resolve, reject })
      running ??= drain()
    })
}
