import type { Caller } from '../../domain/decider.ts'
import { problemName } from '../../commands/problem.ts'
import { readPositionToken } from '../../commands/position.ts'
import { hadCase, openCase } from '../../commands/processes/duplicate-detection.ts'
import { handleNamed } from '../../commands/send.ts'
import type { Position } from '../../event-store/port.ts'
import { lead } from '../../event-store/leadership.ts'
import type { Core } from '../../main.ts'
import { readCheckpoint } from '../../projections/checkpoint.ts'
import { duplicates } from '../../projections/duplicates/project.ts'
import { countKeys, scanPairs, type LikelyPair } from '../../projections/duplicates/scan.ts'
import { schemaOf } from '../../projections/projection.ts'
import { makeSlots } from '../import/order.ts'
import { beginScan, finishScan, recordProgress, type Scan } from './scan-log.ts'

/** Cases being opened at once: enough that commits are shared by many. */
const CONCURRENCY = 32

const caller: Caller = { actor: 'duplicate-scan', role: 'system', employeeId: null, onBehalfOf: null }

export type ScanOptions = {
  /** From the beginning, whatever an earlier run has done. */
  anew?: boolean
  signal?: AbortSignal
  /** Keys gone through, and how many there are. */
  onProgress?: (done: number, all: number) => void
}
export type ScanSummary = Scan & { weightsVersion: number; opened: number; finished: boolean }

/** Nobody waits to take over, and comparing keeps it from saying that it is still there. */
const LEASE_MS = 60_000

/**
 * Compares all customers with each other, by the weights in force when it began, and opens a case for each pair that
 * is likely one. A stretch counts as done when its cases are open, so that a run that was interrupted goes on where it was
 * and misses nothing; what it does again does nothing. A pair that had its case before, however it was judged, is
 * left as it is.
 */
export const runScan = async ({ db, runtime, connectionString }: Pick<Core, 'db' | 'runtime' | 'connectionString'>, { anew = false, signal, onProgress }: ScanOptions = {}): Promise<ScanSummary> => {
  const leader = await lead(connectionString, 'kehu duplicates scan', LEASE_MS)
  if (!leader) throw new Error('A scan for duplicates is running already: wait until it is done.')
  try {
    if (!(await readCheckpoint(db, duplicates))?.ready) throw new Error('The read model duplicates has not been built yet: start the service, and wait until kehu projections calls it ready.')
    const { version: weightsVersion, value: weights } = runtime.organisation.current().policies.matching
    const schema = schemaOf(duplicates)
    let scan = await beginScan(db, { modelVersion: duplicates.version, weightsVersion }, anew, runtime.now())
    const { all, done } = await countKeys(db, schema, scan.throughKey)
    let gone = done
    let opened = 0
    const began = await runtime.store.head()
    onProgress?.(gone, all)
    for await (const stretch of scanPairs(db, schema, { weights, threshold: weights.thresholds.case, after: scan.throughKey })) {
      opened += await openCases(runtime, stretch.pairs, weightsVersion, began)
      scan = { ...scan, throughKey: stretch.through, compared: scan.compared + stretch.compared, found: scan.found + stretch.pairs.length }
      await recordProgress(db, scan)
      gone += stretch.keys
      onProgress?.(gone, Math.max(gone, all))
      if (signal?.aborted || leader.lost.aborted) return { ...scan, weightsVersion, opened, finished: false }
    }
    await finishScan(db, scan, runtime.now())
    return { ...scan, weightsVersion, opened, finished: true }
  } finally {
    await leader.resign()
  }
}

const MOST_TRIES = 5

const isAfter = (runtime: Core['runtime'], token: unknown, began: Position): boolean => {
  const read = readPositionToken(runtime, String(token))
  return read.kind === 'here' && read.position > began
}

/** Answers how many were opened since the log stood at `began`: not those whose pair had a case before. */
const openCases = async (runtime: Core['runtime'], pairs: readonly LikelyPair[], weightsVersion: number, began: Position): Promise<number> => {
  const inSlot = makeSlots(CONCURRENCY)
  const open = async (pair: LikelyPair): Promise<number> => {
    const isMerged = pair.customerIds.some((customerId) => !pair.recordIds.includes(customerId))
    if (isMerged && (await hadCase(runtime, [pair.customerIds, pair.recordIds]))) return 0
    const { command, key, body } = openCase(pair.customerIds, pair, weightsVersion)
    for (let tries = 1; ; tries += 1) {
      const answer = await handleNamed(runtime, command, body, { caller, key })
      // A run before this one has its answer again.
      if (answer.status < 400) return Array.isArray(answer.body['events']) && answer.body['events'].length > 0 && isAfter(runtime, answer.body['position'], began) ? 1 : 0
      // One of the two is another's by now, or gone: nothing is left to decide about the pair.
      if (problemName({ type: String(answer.body['type']) }) !== 'contention' || tries === MOST_TRIES) return 0
    }
  }
  const opened = await Promise.all(pairs.map((pair) => inSlot(() => open(pair))))
  return opened.reduce((sum, one) => sum + one, 0)
}
