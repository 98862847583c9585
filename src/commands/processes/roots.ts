import type { RootLog } from '../../domain/root/root.ts'
import { emptyRange, growFrom, leafOf } from '../../event-store/merkle.ts'
import { kindOf, type Position, type RecordedEvent } from '../../event-store/port.ts'
import type { RootRanges } from '../../event-store/root-range.ts'
import { readRootsFileIfThere } from '../../event-store/roots-file.ts'
import { isSigned, rootText, type RootKey, type SignedRoot } from '../../event-store/signed-root.ts'
import { pause } from '../../event-store/waiting.ts'
import type { Loaded } from '../load.ts'
import { appendToRootLog, keyAdded, loadRootLog, makeRootsFiler, rootsInLog } from '../root-log.ts'
import type { Runtime } from '../runtime.ts'

/** How often a root is signed: after so many events, and so long after the last one when there are any. */
export type RootsEvery = { events: number | null; ms: number | null }

export type RootDependencies = { runtime: Runtime; placeId: string; ranges: RootRanges; rootKey: RootKey; rootsFile: string }

/** The log is not the one over which this key has signed a root. A key never signs two roots that contradict each other. */
export class RootContradicted extends Error {
  override name = 'RootContradicted'
}

/** The place read up to, and how many events have come since the last root, roots themselves not counted. */
type Place = { position: Position; eventId: string; unsigned: number }
const beginning: Place = { position: 0n, eventId: '', unsigned: 0 }

const BATCH = 1000
const LOOK_MS = 1000
const CONTRADICTED_MS = 60_000

/**
 * Reads the log on and signs its roots. It may be killed anywhere: where it stands is kept as a whole, events are
 * counted in log order, and the root of a size follows from the log, so signing one again signs the same.
 */
export const makeRootSigner = ({ runtime, placeId, ranges, rootKey, rootsFile }: RootDependencies) => {
  const { store } = runtime
  const logId = runtime.organisation.current().log?.logId ?? ''
  const file = makeRootsFiler(runtime, logId, rootsFile)
  let tree = growFrom(emptyRange)
  let place = beginning
  let known: Loaded<RootLog> | undefined

  const isHere = async (): Promise<boolean> => place.position === 0n || (await store.eventAt(place.position))?.id === place.eventId
  const keep = async (): Promise<void> => {
    if (place.position > 0n) await ranges.write({ placeId, ...place, range: tree.range() })
  }
  const add = (event: RecordedEvent): void => {
    tree.append(leafOf(event.metadata.hash))
    place = { position: event.position, eventId: event.id, unsigned: place.unsigned + (kindOf(event.stream) === 'root' ? 0 : 1) }
  }

  /** Every root this key has signed, by size: from the log, and from the file, which a hand in the log does not reach. */
  const signedBefore = async (): Promise<Map<number, string>> => {
    const own = ({ logId: of, key }: SignedRoot) => of === logId && key === rootKey.key
    const roots = (await readRootsFileIfThere(rootsFile)).roots
    for await (const { signed } of rootsInLog(runtime, logId)) roots.push(signed)
    return new Map(roots.filter((root) => own(root) && isSigned(root)).map(({ size, root }) => [size, root]))
  }

  /** From the first event on, past every root signed before: none is signed on top of a log that contradicts one. */
  const startOver = async (): Promise<void> => {
    tree = growFrom(emptyRange)
    place = beginning
    const signed = await signedBefore()
    for await (const batch of store.readAll({ after: 0n, batchSize: BATCH })) {
      for (const event of batch.events) {
        add(event)
        const root = signed.get(tree.size())
        if (root === undefined) continue
        if (root !== tree.root().toString('hex')) throw new RootContradicted(`the first ${tree.size()} events are not those over which a root was signed`)
        place = { ...place, unsigned: 0 }
      }
    }
    const most = Math.max(0, ...signed.keys())
    if (most > tree.size()) throw new RootContradicted(`a root was signed over ${most} events, and the log has ${tree.size()}`)
  }

  /** Begins where the last one stopped; from the log itself when that is missing or in doubt. */
  const start = async (): Promise<void> => {
    const kept = await ranges.read()
    if (kept?.placeId === placeId) {
      tree = growFrom(kept.range)
      place = { position: kept.position, eventId: kept.eventId, unsigned: kept.unsigned }
    }
    if (kept?.placeId !== placeId || !(await isHere())) await startOver()
    known = await loadRootLog(runtime)
    await keep()
  }

  const sign = async (): Promise<SignedRoot> => {
    const { key, publicKey } = rootKey
    const [size, root, signedAt] = [tree.size(), tree.root().toString('hex'), runtime.now().toISOString()]
    const signature = rootKey.sign(rootText({ logId, size, root, signedAt }))
    known = await appendToRootLog(runtime, known ?? (await loadRootLog(runtime)), (keys) => [
      ...(keys.has(key) ? [] : [{ type: 'RootKeyAdded' as const, data: keyAdded(logId, rootKey) }]),
      { type: 'RootSigned', data: { size, root, signedAt, key, signature } },
    ])
    place = { ...place, unsigned: 0 }
    await keep()
    return { logId, size, root, signedAt, key, publicKey, signature }
  }

  /** Reads on to the end of the log; `onBatch` may sign on the way. */
  const readOn = async (onBatch: () => Promise<void> = async () => undefined): Promise<void> => {
    if (!(await isHere())) await startOver()
    const before = tree.size()
    for await (const batch of store.readAll({ after: place.position, batchSize: BATCH })) {
      batch.events.forEach(add)
      await onBatch()
    }
    if (tree.size() > before) await keep()
  }

  /** Signs what there is to sign, once. Undefined: nothing has come since the last root. */
  const signNow = async (): Promise<SignedRoot | undefined> => {
    await start()
    await readOn()
    const signed = place.unsigned > 0 ? await sign() : undefined
    await file(signed)
    return signed
  }

  /** Signs for as long as the signal lets it. A log that contradicts a signed root is told of, and looked at again each minute. */
  const run = async (every: RootsEvery, report: (message: string) => void, signal: AbortSignal): Promise<void> => {
    const begun = runtime.now().toISOString()
    const overdue = (ms: number): boolean => Math.abs(runtime.now().getTime() - Date.parse(known?.state.last?.signedAt ?? begun)) >= ms
    let unfiled = true
    const write = async (fresh?: SignedRoot): Promise<void> => {
      try {
        await file(fresh)
        unfiled = false
      } catch (error) {
        if (!unfiled || !fresh) report(`the file of roots cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : 'error'}): the roots are in the log, and the file is completed once it can be`)
        unfiled = true
      }
    }
    while (!signal.aborted) {
      try {
        await start()
        await write()
        for (; !signal.aborted; await pause(LOOK_MS, signal)) {
          await readOn(async () => {
            if (every.events !== null && place.unsigned >= every.events) await write(await sign())
          })
          if (place.unsigned > 0 && every.ms !== null && overdue(every.ms)) await write(await sign())
        }
      } catch (error) {
        if (!(error instanceof RootContradicted)) throw error
        report(`no root is signed any more: ${error.message}. The log was altered, or restored to an earlier state: see kehu audit verify; kehu audit rotate-key goes on under another key`)
        await pause(CONTRADICTED_MS, signal)
      }
    }
  }

  return { run, signNow }
}
