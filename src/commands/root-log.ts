import { v7 as uuidv7 } from 'uuid'
import { recordedEvent } from '../domain/events.ts'
import { rootLog, stream, type RootEvent, type RootKeyAdded, type RootLog } from '../domain/root/root.ts'
import { headAfter } from '../event-store/chain.ts'
import type { RecordedEvent } from '../event-store/port.ts'
import { appendRoots, readRootsFileIfThere } from '../event-store/roots-file.ts'
import { endorsementText, isSigned, type RootKey, type SignedRoot } from '../event-store/signed-root.ts'
import { expectedRevision, load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

/** What the log says of its own roots. */
export const loadRootLog = (runtime: Runtime): Promise<Loaded<RootLog>> => load(runtime, rootLog, stream)

/** A root as the log holds it, and the event that says so. */
export type RootInLog = { signed: SignedRoot; event: RecordedEvent }

/** The roots the log holds, in order, each with its key. */
export async function* rootsInLog({ store }: Pick<Runtime, 'store'>, logId: string): AsyncIterable<RootInLog> {
  const keys = new Map<string, string>()
  for await (const event of store.readStream(stream)) {
    const known = rootLog.parse(event.type, event.data)
    if (known?.type === 'RootKeyAdded') keys.set(known.data.key, known.data.publicKey)
    if (known?.type === 'RootSigned') yield { signed: { logId, ...known.data, publicKey: keys.get(known.data.key) ?? '' }, event }
  }
}

/** A key as the log lists it; endorsed by the one it takes over from, where that is at hand. */
export const keyAdded = (logId: string, { key, publicKey }: RootKey, before?: RootKey): RootKeyAdded =>
  ({ key, publicKey, endorsedBy: before?.key ?? null, endorsement: before?.sign(endorsementText(logId, publicKey)) ?? null })

/** Appends to the stream of roots what is wanted on top of the keys that stand there; on a conflict it is asked again. */
export const appendToRootLog = async (runtime: Runtime, from: Loaded<RootLog>, wanted: (keys: RootLog['keys']) => RootEvent[]): Promise<Loaded<RootLog>> => {
  for (let loaded = from; ; loaded = await loadRootLog(runtime)) {
    const events = wanted(loaded.state.keys)
    if (events.length === 0) return loaded
    const commandId = uuidv7()
    const metadata = { commandId, commandHash: runtime.keyedHash.command({ command: 'sign-root' }), actor: 'roots', $correlationId: commandId, $causationId: commandId }
    const sealed = await runtime.codec.encode(stream, loaded.head, events.map(({ type, data }) => ({ type, schemaVersion: 1, data })), metadata, runtime.now().toISOString())
    const result = await runtime.store.append({ stream, expectedRevision: expectedRevision(loaded.head), events: sealed })
    if (result.outcome !== 'appended') continue
    return sealed.reduce((before, one, index) => withEvent(before, { ...one, stream, revision: loaded.head.revision + 1 + index, position: result.position }), loaded)
  }
}

const withEvent = (loaded: Loaded<RootLog>, stored: RecordedEvent): Loaded<RootLog> => {
  const event = recordedEvent(rootLog.parse, stored)
  return { stream, state: event ? rootLog.evolve(loaded.state, event) : loaded.state, head: headAfter(stored), position: stored.position }
}

/**
 * Keeps the file of roots as whole as the log: a root is in the log first, and whatever the file lacks after a crash,
 * a full disk or a change of machine is added when it is next written. What is no root by its own key is not.
 */
export const makeRootsFiler = (runtime: Pick<Runtime, 'store'>, logId: string, file: string) => {
  let whole = false
  return async (fresh?: SignedRoot): Promise<void> => {
    const lacking: SignedRoot[] = fresh && whole ? [fresh] : []
    if (!whole) {
      const there = new Set((await readRootsFileIfThere(file)).roots.map((root) => root.signature))
      for await (const { signed } of rootsInLog(runtime, logId)) if (!there.has(signed.signature) && isSigned(signed)) lacking.push(signed)
    }
    whole = false
    if (lacking.length > 0) await appendRoots(file, lacking)
    whole = true
  }
}
