import { getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { runProjections } from './projections/run.ts'
import { ProjectorTask, type ProjectorMessage } from './projector.ts'
import { openStorage } from './storage.ts'

const TELL_MS = 20
/** Added to what the process has: where cores are short, commands go first and read models take what is left. */
const NICER = 5

// The thread of the read models: see projector.ts.
if (parentPort === null) throw new Error('this runs as a thread of the service')
const port = parentPort
// Linux takes this for the thread that calls; elsewhere it would be the whole process.
if (process.platform === 'linux') setPriority(0, Math.min(19, getPriority(0) + NICER))
const tell = (message: ProjectorMessage) => port.postMessage(message)

const { connectionString, masterKeys: [current, ...earlier], eventStoreUrl, eventStorePrefix, databaseWaitMs, ...log } = ProjectorTask.parse(workerData)
const storage = await openStorage({ connectionString, masterKeys: [Buffer.from(current, 'base64'), ...earlier.map((key) => Buffer.from(key, 'base64'))], eventStoreUrl, eventStorePrefix, databaseWaitMs })
const { db, store, codec } = storage
const stop = new AbortController()
port.once('message', () => stop.abort())

const running = await runProjections({ db, connectionString, store, codec, ...log, report: (report) => tell({ report }) }, stop.signal)
let told = ''
const telling = setInterval(() => {
  const statuses = running.statuses()
  const text = statuses.map(({ model, state, position, detail }) => `${model} ${state} ${position} ${detail ?? ''}`).join('\n')
  if (text !== told) tell({ statuses })
  told = text
}, TELL_MS)

await running.done
clearInterval(telling)
await storage.close()
port.close()
