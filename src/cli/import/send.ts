import { commandIdOf } from '../../commands/keyed-hash.ts'
import { problemName, problems } from '../../commands/problem.ts'
import type { Answer } from '../../commands/handle.ts'
import type { Runtime } from '../../commands/runtime.ts'
import { handleNamed } from '../../commands/send.ts'
import { isConnectionError } from '../../event-store/postgres/connection.ts'
import { EventStoreUnavailable } from '../../event-store/port.ts'
import type { Prepared } from './command.ts'
import { outcomeOf, type Earlier, type Outcome } from './outcome.ts'

/** The log stayed out of reach, or a command broke in a way nobody foresaw. What was imported stands; running again goes on. */
export class ImportStopped extends Error {
  override name = 'ImportStopped'
}

const MOST_TRIES = 8

/**
 * Sends commands as a system, each under the key of its row. A key answers for ever what it answered first, so a row
 * that is in is not written again. A refusal it answered stands too, until `retryRefused` takes the next key of the row.
 */
export const makeSend = ({ runtime, actor, retryRefused, signal }: { runtime: Runtime; actor: string; retryRefused: boolean; signal: AbortSignal }) => {
  const { watched, earlierOf, forget } = watchReceipts(runtime)

  const answerTo = async ({ command, body, onBehalfOf }: Prepared, key: string): Promise<Answer> => {
    const caller = { actor, role: 'system', employeeId: onBehalfOf, onBehalfOf } as const
    for (let tries = 1; ; tries += 1) {
      const answer = await handleNamed(watched, command.name, body, { caller, key }).catch((error: unknown) => {
        if (!(error instanceof EventStoreUnavailable) && !isConnectionError(error)) throw new ImportStopped(`${command.name} broke in a way nobody foresaw (${error instanceof Error ? error.name : 'unknown'})`, { cause: error })
        if (tries >= MOST_TRIES || signal.aborted) throw new ImportStopped('The log is out of reach', { cause: error })
        return undefined
      })
      // It is not known whether it was taken: the same key tells.
      if (answer && (!mayPass(answer) || tries >= MOST_TRIES || signal.aborted)) return answer
      await runtime.sleep(Math.min(5000, 50 * 2 ** tries) * (0.5 + Math.random() / 2))
    }
  }

  return async (prepared: Prepared, key: string): Promise<Outcome> => {
    for (let retry = 0; ; retry += 1) {
      const answer = await answerTo(prepared, retry === 0 ? key : retryKey(key, retry))
      const earlier = earlierOf(answer.commandId)
      forget(answer.commandId)
      const stands = earlier !== undefined && earlier.status >= 400
      if (!stands || !(retryRefused || (await wasTriedAgain(prepared, retryKey(key, retry + 1))))) return outcomeOf(answer, earlier)
    }
  }

  /** An earlier run has tried this row again: its answer is the one that counts. */
  async function wasTriedAgain({ command }: Prepared, key: string): Promise<boolean> {
    return (await runtime.store.receipts.find(commandIdOf(actor, command.name, key))) !== undefined
  }
}

const retryKey = (key: string, retry: number): string => `${key}/retry-${retry}`

const mayPass = ({ status, body }: Answer): boolean => status >= 400 && 'type' in body && typeof body['type'] === 'string' && problems.get(problemName({ type: body['type'] }))?.retryable === true

/**
 * The first answer and every later one are the same, byte for byte: which it was is told by whether the command path
 * found a receipt when it first looked. To overhear that costs no look of one's own.
 */
const watchReceipts = (runtime: Runtime) => {
  const seen = new Map<string, Earlier | null>()
  const { store } = runtime
  const watched: Runtime = {
    ...runtime,
    store: {
      ...store,
      receipts: {
        ...store.receipts,
        find: async (commandId) => {
          const receipt = await store.receipts.find(commandId)
          if (!seen.has(commandId)) seen.set(commandId, receipt ? { status: receipt.status } : null)
          return receipt
        },
      },
    },
  }
  return { watched, earlierOf: (commandId: string): Earlier | undefined => seen.get(commandId) ?? undefined, forget: (commandId: string) => seen.delete(commandId) }
}
