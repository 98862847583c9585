import { z } from 'zod'
import { events, stream } from '../../domain/root/root.ts'
import * as system from '../../domain/system/system.ts'
import type { AuditedLog, LogEntry } from '../../event-store/log-entry.ts'
import { readRootsFile } from '../../event-store/roots-file.ts'
import { believedKeys, isSigned, type ListedKey, type SignedRoot } from '../../event-store/signed-root.ts'
import type { Finding, KnownRoot } from '../../event-store/verification.ts'

const Opened = z.object({ logId: z.string() })

/** What a log, and a file kept from it, say of its roots. */
export type KnownRoots = { logId: string; roots: KnownRoot[]; keys: string[]; faults: Finding[] }

const entriesOf = async (log: AuditedLog, name: string): Promise<LogEntry[]> => (await Array.fromAsync(log.streamEntries(name))).flat()

/**
 * Every root there is to check a log against, its signature checked by keys to be believed: those of the fingerprints
 * given and whom they endorsed, or, where none is given, all keys the log itself lists. Reads rows as they stand:
 * a log that was tampered with is not an error here.
 */
export const knownRoots = async (log: AuditedLog, options: { roots?: string | undefined; fingerprints: readonly string[] }): Promise<KnownRoots> => {
  const faults: Finding[] = []
  const fault = (detail: string, at?: LogEntry) => faults.push({ kind: 'root', position: at?.position ?? null, stream: at?.stream ?? null, revision: at?.revision ?? null, detail })
  const [opened] = await entriesOf(log, system.stream)
  const file = options.roots === undefined ? undefined : await readRootsFile(options.roots)
  // A log that has lost its name is held to the file's.
  const logId = Opened.safeParse(opened?.data()).data?.logId ?? file?.roots[0]?.logId ?? ''

  const listed: ListedKey[] = []
  const found: { root: KnownRoot; at?: LogEntry }[] = []
  for (const entry of await entriesOf(log, stream)) {
    if (entry.type === 'RootKeyAdded') listed.push(...[events.RootKeyAdded.safeParse(entry.data()).data].filter((key) => key !== undefined))
    const signed = entry.type === 'RootSigned' ? events.RootSigned.safeParse(entry.data()).data : undefined
    if (signed) found.push({ root: { logId, ...signed, publicKey: listed.find(({ key }) => key === signed.key)?.publicKey ?? '', from: 'from the log' }, at: entry })
  }
  for (const line of file?.unreadable ?? []) fault(`line ${line} of ${options.roots} is not a root`)
  for (const root of file?.roots ?? []) found.push({ root: { ...root, from: `from ${options.roots}` } })

  const believed = options.fingerprints.length > 0 ? believedKeys(logId, options.fingerprints, listed) : new Set(listed.map(({ key }) => key))
  const roots: KnownRoot[] = []
  for (const { root, at } of found) {
    const wrong = faultOf(root, logId, believed, options.fingerprints.length > 0)
    if (wrong === undefined) roots.push(root)
    else fault(`the root over ${root.size} events signed at ${root.signedAt} (${root.from}) ${wrong}`, at)
  }
  return { logId, roots: withoutRepeats(roots), keys: [...new Set(roots.map(({ key }) => key))], faults }
}

const faultOf = (root: SignedRoot, logId: string, believed: ReadonlySet<string>, given: boolean): string | undefined => {
  if (root.logId !== logId) return `is of another log, ${root.logId}; this one is ${logId}`
  if (!isSigned(root)) return 'is not signed by the key it names'
  if (believed.has(root.key)) return undefined
  return given ? `is signed by the key ${root.key}, which was neither given nor endorsed by one that was` : `is signed by the key ${root.key}, which the log does not list`
}

/** A root in the file as well as in the log counts once, as the file's. */
const withoutRepeats = (roots: readonly KnownRoot[]): KnownRoot[] => [...new Map(roots.map((root) => [`${root.size} ${root.root}`, root])).values()]
