import type { Pool } from 'pg'
import { z } from 'zod'
import type { Config } from '../../config.ts'
import type { AuditedLog } from '../../event-store/log-entry.ts'
import { makeVerification, type Finding, type Verified } from '../../event-store/verification.ts'
import { progressBar } from '../progress.ts'
import { knownRoots, type KnownRoots } from './known-roots.ts'
import { withAuditedLog } from './open.ts'

export type VerifyOptions = { roots?: string | undefined; fingerprints: readonly string[]; onProgress?: (position: bigint, end: bigint) => void }
export type Verification = Verified & Pick<KnownRoots, 'logId' | 'keys'> & { findings: Finding[]; more: number }

const MOST_FINDINGS = 1000
/** Receipts are not kept by position: each look goes through all of them. */
const MOST_LOOKED_UP = 20

/** Checks every event, chain and root of a log, as it stands when it is called. */
export const verifyLog = async (log: AuditedLog, options: VerifyOptions): Promise<Verification> => {
  const findings: Finding[] = []
  const report = (finding: Finding) => {
    if (findings.length < MOST_FINDINGS) findings.push(finding)
  }
  const { roots, faults, logId, keys } = await knownRoots(log, options)
  faults.forEach(report)
  const verification = makeVerification(roots, log, report)
  const end = await log.head()
  for await (const entries of log.entries()) {
    entries.forEach(verification.add)
    options.onProgress?.(entries.at(-1)?.position ?? 0n, end)
  }
  const { findings: found, ...verified } = verification.end()
  return { ...verified, logId, keys, findings, more: found + faults.length - findings.length }
}

/** Exit code 1 when anything was found. */
export const auditVerify = (config: Config, options: { roots?: string; fingerprint: string[]; json?: boolean }): Promise<void> =>
  withAuditedLog(config, async (log, pool) => {
    const bar = progressBar('audit')
    const started = performance.now()
    const verified = await verifyLog(log, { roots: options.roots, fingerprints: options.fingerprint, onProgress: bar.update }).finally(bar.stop)
    const seconds = (performance.now() - started) / 1000
    const findings = log.dense ? [...(await Promise.all(verified.findings.slice(0, MOST_LOOKED_UP).map((finding) => withReceipt(pool, finding)))), ...verified.findings.slice(MOST_LOOKED_UP)] : verified.findings
    if (options.json) console.log(JSON.stringify({ ...verified, findings, seconds }, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value)))
    else for (const line of [...findings.map(inWords), ...summary(verified, options, seconds)]) console.log(line)
    if (findings.length > 0) process.exitCode = 1
  })

const Answer = z.object({ streamId: z.string(), events: z.array(z.object({ type: z.string(), revision: z.number() })) })

/** What a receipt still says of an event that is not there: which stream, which revision. */
const withReceipt = async (pool: Pool, finding: Finding): Promise<Finding> => {
  if (finding.kind !== 'removed' || finding.position === null || finding.stream !== null) return finding
  const { rows: [row] } = await pool.query<{ answer: string }>('select answer from kehu.receipt where position >= $1 order by position limit 1', [String(finding.position)]).catch(() => ({ rows: [] }))
  const answer = row && Answer.safeParse(JSON.parse(row.answer)).data
  return answer ? { ...finding, detail: `${finding.detail}; by its receipt the command whose events end there or next after wrote ${answer.events.map(({ type, revision }) => `${type} (revision ${revision})`).join(', ')} to ${answer.streamId}` } : finding
}

const count = (n: number, what: string): string => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`

const inWords = ({ kind, position, stream, revision, detail }: Finding): string => {
  const place = [position === null ? '' : `position ${position}`, stream === null ? '' : `${stream}, revision ${revision}`].filter((part) => part !== '').join(', ')
  return `${kind.toUpperCase()}${place === '' ? '' : ` ${place}`}: ${detail}`
}

const summary = (verified: Verification, { roots, fingerprint }: { roots?: string; fingerprint: string[] }, seconds: number): string[] => {
  const { events, streams, fitting, last, keys, findings, more } = verified
  return [
    ...(more > 0 ? [`… and ${count(more, 'finding')} more`] : []),
    `${count(events, 'event')} of ${count(streams, 'stream')} checked in ${seconds.toFixed(1)} s, ${Math.round(events / Math.max(seconds, 0.001)).toLocaleString('en')} a second: ${findings.length === 0 ? 'nothing was altered' : count(findings.length + more, 'finding')}.`,
    last === null ? 'No root fits: only the chains were checked, and whoever writes to the log can write those anew.'
      : `${count(fitting, 'root')} fit. The last is over ${count(last.size, 'event')}, signed at ${last.signedAt} (${last.from}): up to there the log is what was signed. After it, held by chains alone: ${count(events - last.size, 'event')}.`,
    ...keys.map((key) => `Signed by ${key}`),
    ...(fingerprint.length > 0 ? [] : ['No --fingerprint was given: these keys are the log’s own word. Compare them with what you were given.']),
    ...(roots === undefined ? ['No --roots file was given: roots in the log itself can be removed from it by whoever writes to it.'] : []),
  ]
}
