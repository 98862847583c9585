import pg from 'pg'
import { verifyLog } from '../src/cli/audit/verify.ts'
import { auditedRows, readRows } from '../src/event-store/postgres/entries.ts'

// One measurement in a process of its own: node verify-run.ts <url> <verify|read> [<file of roots> <fingerprint>]
// Prints one line of JSON: { events, seconds, cpuSeconds }, the last being what this process took of the processors.

const [url = '', work = '', roots, fingerprint] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url })

const read = async (): Promise<number> => {
  let events = 0
  for await (const rows of readRows(pool)) events += rows.length
  return events
}

const verify = async (): Promise<number> => {
  const { events, findings, fitting } = await verifyLog(auditedRows(pool), { roots, fingerprints: fingerprint === undefined ? [] : [fingerprint] })
  if (findings.length > 0) throw new Error(`something was found: ${findings[0]?.detail ?? ''}`)
  if (roots !== undefined && fitting === 0) throw new Error('no root was checked')
  return events
}

const before = process.cpuUsage()
const started = performance.now()
const events = await (work === 'read' ? read() : verify())
const seconds = (performance.now() - started) / 1000
const { user, system } = process.cpuUsage(before)
process.stdout.write(`${JSON.stringify({ events, seconds, cpuSeconds: (user + system) / 1e6 })}\n`)
await pool.end()
