import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import { projections } from './projections/all.ts'
import type { RunnerStatus } from './projections/runner.ts'

/** What the thread of the read models is handed. */
export const ProjectorTask = z.object({
  connectionString: z.string(),
  /** In base64, the current one first. */
  masterKeys: z.tuple([z.string()], z.string()),
  eventStoreUrl: z.string().optional(),
  eventStorePrefix: z.string().optional(),
  databaseWaitMs: z.int(),
  placeId: z.string(),
  earlierPlaces: z.array(z.string()),
  analystRole: z.string().nullable(),
})
export type ProjectorTask = z.infer<typeof ProjectorTask>

const Status = z.object({ model: z.string(), version: z.int(), state: z.enum(['starting', 'standby', 'catching-up', 'live', 'stopped', 'paused']), position: z.bigint(), detail: z.string().nullable() })
const Message = z.union([
  z.object({ statuses: z.array(Status) }),
  z.object({ report: z.object({ model: z.string(), level: z.enum(['info', 'warn', 'error']), message: z.string() }) }),
])
export type ProjectorMessage = z.infer<typeof Message>

/**
 * The most memory it may have; far more than it needs. Where V8 may take 2 GB or more, as it would where a machine has
 * much, it lets a heap grow to four times what is alive in it before it collects, and else to twice that at the most.
 * Of what has just been made it would let 192 MB come together, though little of it is alive by then.
 */
export const HEAP = { maxOldGenerationSizeMb: 2000, maxYoungGenerationSizeMb: 96 }
const AGAIN_MS = 1000
const STOP_MS = 10_000

/**
 * The read models, in a thread of their own: folding and writing rows takes more than deciding, and must not keep
 * commands waiting. A thread that ends without being asked to is begun again; what it had not committed, it reads again.
 */
export const startProjector = (task: ProjectorTask, report: (event: { model: string; level: 'info' | 'warn' | 'error'; message: string }) => void): { statuses: () => RunnerStatus[]; stop: () => Promise<void> } => {
  const starting = (): RunnerStatus[] => projections.map(({ model, version }) => ({ model, version, state: 'starting', position: 0n, detail: null }))
  let statuses = starting()
  let stopping = false
  let worker: Worker
  let again: NodeJS.Timeout | undefined

  const begin = (): void => {
    worker = new Worker(new URL('./projector-start.ts', import.meta.url), { workerData: task, name: 'kehu read models', resourceLimits: HEAP })
    worker.on('message', (given: unknown) => {
      const message = Message.parse(given)
      if ('statuses' in message) statuses = message.statuses
      else report(message.report)
    })
    worker.on('error', (error) => report({ model: 'all', level: 'error', message: `the thread of the read models broke: ${error instanceof Error ? error.name : 'error'}` }))
    worker.on('exit', () => {
      if (stopping) return
      statuses = starting()
      again = setTimeout(begin, AGAIN_MS)
    })
  }
  begin()

  return {
    statuses: () => statuses,
    stop: async () => {
      stopping = true
      clearTimeout(again)
      if (worker.threadId < 0) return
      const ended = once(worker, 'exit')
      const impatience = setTimeout(() => void worker.terminate(), STOP_MS)
      worker.postMessage('stop')
      await ended.finally(() => clearTimeout(impatience))
    },
  }
}
