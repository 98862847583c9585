import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { makeRootSigner, type RootDependencies } from '../../src/commands/processes/roots.ts'
import { verifyLog, type Verification } from '../../src/cli/audit/verify.ts'
import { canonical } from '../../src/event-store/canonical.ts'
import { chain, emptyHead } from '../../src/event-store/chain.ts'
import type { Metadata, RecordedEvent } from '../../src/event-store/port.ts'
import { auditedRows } from '../../src/event-store/postgres/entries.ts'
import { streamKey } from '../../src/event-store/postgres/rows.ts'
import { makeRootRanges } from '../../src/event-store/root-range.ts'
import { makeRootKey, type RootKey } from '../../src/event-store/signed-root.ts'
import { makeService } from '../support/runtime.ts'

export const newKey = (): RootKey => makeRootKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())

/** A log in Postgres, what signs its roots, and a hand in its table. */
export const makeAudit = async () => {
  const service = await makeService()
  const folder = await mkdtemp(join(tmpdir(), 'kehu-audit-'))
  const { runtime, database: { pool } } = service
  const rootKey = newKey()
  const roots: RootDependencies = { runtime, placeId: runtime.organisation.current().log?.places.at(-1) ?? '', ranges: makeRootRanges(pool), rootKey, rootsFile: join(folder, 'roots.ndjson') }
  const read = async (): Promise<RecordedEvent[]> => (await Array.fromAsync(service.store.readAll({ after: 0n, batchSize: 1000 }))).flatMap((batch) => batch.events)

  /** What an audit finds once `change` was done to the table; then it is undone. */
  const after = async (change: (table: pg.PoolClient) => Promise<unknown>, options: { roots?: string | undefined; fingerprints?: string[] } = {}): Promise<Verification> => {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await change(client)
      return await verifyLog(auditedRows(client), { roots: 'roots' in options ? options.roots : roots.rootsFile, fingerprints: options.fingerprints ?? [rootKey.key] })
    } finally {
      await client.query('rollback')
      client.release()
    }
  }
  return {
    ...service, folder, roots, rootKey, read, after,
    sign: () => makeRootSigner(roots).signNow(),
    close: async () => {
      await service.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const withoutHash = (metadata: Metadata): Omit<Metadata, 'hash'> => {
  const rest: Partial<Metadata> & Omit<Metadata, 'hash'> = { ...metadata }
  delete rest.hash
  return rest
}

/** The strongest hand there is without the key: every row written anew, positions and chains as if it had always been so. */
export const rewriteLog = (table: pg.PoolClient, events: readonly RecordedEvent[]): Promise<unknown> => {
  const heads = new Map<string, { revision: number; hash: string }>()
  const rows = events.map(({ stream, id, type, data, metadata }, index) => {
    const head = heads.get(stream) ?? emptyHead(stream)
    const revision = head.revision + 1
    const forged = chain(stream, revision, { id, type, data, metadata: withoutHash({ ...metadata, prevHash: head.hash }) })
    heads.set(stream, { revision, hash: forged.metadata.hash })
    return { position: index + 1, stream_key: streamKey(stream), revision, event_id: id, stream, type, data: canonical(data), metadata: canonical(forged.metadata), hash: `\\x${forged.metadata.hash}` }
  })
  return table.query('delete from kehu.event').then(() => table.query('insert into kehu.event select * from json_populate_recordset(null::kehu.event, $1)', [JSON.stringify(rows)]))
}
