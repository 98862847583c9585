import { writeFile } from 'node:fs/promises'
import { loadRootLog, rootsInLog } from '../../commands/root-log.ts'
import type { Config } from '../../config.ts'
import { streamName } from '../../domain/customer/events.ts'
import type { RootKeyAdded } from '../../domain/root/root.ts'
import { leafOf, makeProver } from '../../event-store/merkle.ts'
import type { JsonObject, Metadata, RecordedEvent } from '../../event-store/port.ts'
import { headText, isSigned, type SignedRoot } from '../../event-store/signed-root.ts'
import type { Core } from '../../main.ts'
import { withCore } from '../core.ts'
import { progressBar } from '../progress.ts'

/** What tools/verify-proof.mjs checks, with nothing else at hand but a fingerprint (docs/storage-format.md). */
export type Proof = {
  kehu: 'proof'
  version: 1
  logId: string
  stream: string
  root: SignedRoot
  /** Every key the log lists: by endorsements one key leads to the next. */
  keys: RootKeyAdded[]
  /** As they are stored, sealed values sealed. `path`: the inclusion path of the event of that ordinal. */
  events: { ordinal: number; revision: number; id: string; type: string; data: JsonObject; metadata: Metadata; path: string[] }[]
  /** The keeper's signed word that of the root's events none comes after these in the stream: inclusion cannot show what is not there. */
  head: { revision: number; hash: string; key: string; publicKey: string; signature: string }
  /** That the log has only grown since an earlier root. */
  growth: { from: SignedRoot; path: string[] } | null
  /** Events of the stream that have come since the root: not in this proof. */
  eventsAfterRoot: number
}

export class NoProof extends Error {
  override name = 'NoProof'
}

const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'))

/** @throws NoProof saying why there is none */
export const proveStream = async ({ runtime, roots: { rootKey } }: Pick<Core, 'runtime' | 'roots'>, stream: string, options: { since?: number | undefined; onProgress?: (position: bigint, end: bigint) => void } = {}): Promise<Proof> => {
  const logId = runtime.organisation.current().log?.logId ?? ''
  const signed = (await Array.fromAsync(rootsInLog(runtime, logId))).map((one) => one.signed).filter(isSigned)
  const root = signed.at(-1)
  if (!root) throw new NoProof('No root has been signed yet: kehu audit sign')
  const from = options.since === undefined ? undefined : signed.find(({ size }) => size === options.since)
  if (options.since !== undefined && (!from || from.size > root.size)) throw new NoProof(`No root over ${options.since} events is in the log`)

  const prover = makeProver()
  const found: { event: RecordedEvent; ordinal: number; path: Buffer[] }[] = []
  let growth: Buffer[] | undefined
  let eventsAfterRoot = 0
  const end = await runtime.store.head()
  for await (const { events, position } of runtime.store.readAll({ after: 0n, batchSize: 1000 })) {
    for (const event of events) {
      const isOf = event.stream === stream
      if (prover.size() === root.size) eventsAfterRoot += isOf ? 1 : 0
      else if (isOf) found.push({ event, ordinal: prover.size() + 1, path: prover.appendWatched(leafOf(event.metadata.hash)) })
      else prover.append(leafOf(event.metadata.hash))
      if (prover.size() === from?.size && from.size < root.size) growth ??= prover.watchGrowth()
    }
    options.onProgress?.(position, end)
  }
  if (prover.root().toString('hex') !== root.root) throw new NoProof(`The log is not what the root over ${root.size} events was signed over: run kehu audit verify`)
  const last = found.at(-1)?.event
  if (!last) throw new NoProof(eventsAfterRoot > 0 ? 'The customer’s events have all come since the last root: run kehu audit sign first' : 'The log has no such customer')
  const head = { revision: last.revision, hash: last.metadata.hash }
  return {
    kehu: 'proof', version: 1, logId, stream, root,
    keys: [...(await loadRootLog(runtime)).state.keys.values()],
    events: found.map(({ ordinal, path, event: { revision, id, type, data, metadata } }) => ({ ordinal, revision, id, type, data, metadata, path: hex(path) })),
    head: { ...head, key: rootKey.key, publicKey: rootKey.publicKey, signature: rootKey.sign(headText({ logId, size: root.size, root: root.root, stream, ...head })) },
    growth: from ? { from, path: hex(growth ?? []) } : null,
    eventsAfterRoot,
  }
}

export const auditProve = (config: Config, customerId: string, options: { out?: string; since?: number }): Promise<void> =>
  withCore(config, async (core) => {
    const bar = progressBar('prove')
    const proof = await proveStream(core, streamName(customerId), { since: options.since, onProgress: bar.update }).finally(bar.stop)
    const text = `${JSON.stringify(proof, null, 1)}\n`
    if (options.out === undefined) process.stdout.write(text)
    else {
      await writeFile(options.out, text)
      console.log(`${proof.events.length} event(s) of ${proof.stream} under the root over ${proof.root.size} events, signed at ${proof.root.signedAt} by ${proof.root.key}: ${options.out}`)
    }
    if (proof.eventsAfterRoot > 0) console.error(`${proof.eventsAfterRoot} event(s) have come since that root and are not in the proof: kehu audit sign, then prove again`)
  })
