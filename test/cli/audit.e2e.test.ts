import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyLog } from '../../src/cli/audit/verify.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { makeRootSigner } from '../../src/commands/processes/roots.ts'
import { readConfig } from '../../src/config.ts'
import { auditedThrough } from '../../src/event-store/log-entry.ts'
import { openCore, type Core } from '../../src/main.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { runTypeScript } from '../support/node.ts'

const repository = new URL('../..', import.meta.url).pathname
const importer = { actor: 'importer', role: 'system', employeeId: 'clerk', onBehalfOf: 'clerk' } as const

/** An installation: a database, a data folder with its secrets, and the program as it is typed. */
const install = async (more: Record<string, string> = {}) => {
  const database = await makeDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'kehu-audit-cli-'))
  await chmod(folder, 0o700)
  const env = { DATABASE_URL: database.url, KEHU_DATA_DIR: folder, LOG_LEVEL: 'silent', ...more }
  const core = await openCore(readConfig(env), database.url, () => undefined)
  const ran = (file: string, args: readonly string[]): Promise<{ code: number; output: string }> => new Promise((resolve) => {
    execFile(process.execPath, [...(file.endsWith('.ts') ? runTypeScript : []), join(repository, file), ...args], { cwd: repository, env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env }, timeout: 120_000 },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }))
  })
  return { database, folder, core, ran, kehu: (...args: string[]) => ran('src/cli/kehu.ts', args) }
}
type Installation = Awaited<ReturnType<typeof install>>
const uninstall = async ({ core, database, folder }: Installation) => {
  await core.close()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
}

const send = async ({ runtime }: Core, command: string, body: object) => {
  const answer = await handleNamed(runtime, command, body, { caller: importer })
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
}
/** Customers of three events each: entered, the importer's clerk's, released. */
const enterSome = async (core: Core, ids: readonly string[]) => {
  for (const customerId of ids) await send(core, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' } })
  for (const customerId of ids) await send(core, 'release-ownership', { customerId, reason: '不再跟进' })
}

/** A hand in the table; what it did is undone afterwards. */
const tampered = async ({ pool }: TestDatabase, statements: readonly string[], work: () => Promise<void>) => {
  await pool.query('create table kehu.kept as select * from kehu.event')
  for (const statement of ['alter table kehu.event drop constraint event_place', ...statements]) await pool.query(statement)
  await work()
  for (const statement of ['truncate kehu.event', 'insert into kehu.event select * from kehu.kept', 'drop table kehu.kept', 'alter table kehu.event add constraint event_place unique (stream_key, revision)']) await pool.query(statement)
}

describe('kehu audit, as it is typed, on a log in Postgres', { timeout: 300_000 }, () => {
  let here: Installation
  let fingerprint: string
  let rootsFile: string
  const verify = (...more: string[]) => here.kehu('audit', 'verify', '--roots', rootsFile, '--fingerprint', fingerprint, ...more)
  beforeAll(async () => {
    here = await install()
    await enterSome(here.core, ['a', 'b', 'c', 'd'])
    const { code, output } = await here.kehu('audit', 'sign')
    expect(output).toMatch(/Signed at \S+ over \d+ events: [0-9a-f]{64}\nKey [0-9a-f]{64}, file \S+/)
    expect(code).toBe(0)
    fingerprint = /Key ([0-9a-f]{64})/.exec(output)?.[1] ?? ''
    rootsFile = /file (\S+)/.exec(output)?.[1] ?? ''
  })
  afterAll(() => uninstall(here))

  it('finds nothing in what was only written to, and says which event was altered, removed, put in or moved by hand', async () => {
    const whole = await verify()
    expect(whole.output).toMatch(/nothing was altered\.\n1 root fit/)
    expect(whole.code).toBe(0)
    const of = (customerId: string, revision: number) => `stream = 'customer-${customerId}' and revision = ${revision}`
    const at = async (customerId: string, revision: number) => Number((await here.database.pool.query<{ position: string }>(`select position from kehu.event where ${of(customerId, revision)}`)).rows[0]?.position)
    const [altered, removed, entered, claimed] = [await at('a', 1), await at('b', 2), await at('c', 0), await at('c', 1)]
    const end = Number(await here.core.runtime.store.head()) + 1
    await tampered(here.database, [
      `update kehu.event set data = replace(data, '"clerk"', '"thief"') where ${of('a', 1)}`,
      `delete from kehu.event where ${of('b', 2)}`,
      `update kehu.event set position = -position where position in (${entered}, ${claimed})`,
      `update kehu.event set position = ${entered + claimed} + position where position < 0`,
      `insert into kehu.event select ${end}, stream_key, revision, event_id, stream, type, data, metadata, hash from kehu.event where ${of('d', 1)}`,
    ], async () => {
      const { code, output } = await verify()
      expect(code).toBe(1)
      expect(output).toContain(`ALTERED position ${altered}, customer-a, revision 1: its hash does not fit its content`)
      expect(output).toMatch(new RegExp(`REMOVED position ${removed}: position ${removed} is missing; by its receipt .* OwnershipReleased \\(revision 2\\) to customer-b`))
      expect(output).toContain(`MOVED position ${claimed}, customer-c, revision 0`)
      expect(output).toContain(`INSERTED position ${end}, customer-d, revision 1`)
      expect(output).toMatch(/ROOT position|REMOVED: a root was signed/)
    })
  })

  it('proves a customer’s events to who has the fingerprint and a script, under a new key as well', async () => {
    const proof = join(here.folder, 'proof.json')
    expect(await here.kehu('audit', 'prove', 'a', '--out', proof)).toMatchObject({ code: 0, output: expect.stringContaining('3 event(s) of customer-a') })
    const check = (key: string) => here.ran('tools/verify-proof.mjs', [proof, '--fingerprint', key])
    expect(await check(fingerprint)).toMatchObject({ code: 0, output: expect.stringContaining('PROVED: these 3 events of customer-a') })
    expect((await check('0'.repeat(64))).code).toBe(1)
    const rotated = await here.kehu('audit', 'rotate-key')
    expect(rotated.code).toBe(0)
    expect(/is now ([0-9a-f]{64}), endorsed by ([0-9a-f]{64})/.exec(rotated.output)?.[2]).toBe(fingerprint)
    await send(here.core, 'claim-ownership', { customerId: 'a' })
    expect(await here.kehu('audit', 'sign')).toMatchObject({ code: 0 })
    // The old fingerprint leads to the new key.
    const verified = await verify()
    expect(verified.output).toMatch(/nothing was altered\.\n2 roots fit/)
    expect(verified.code).toBe(0)
  })

  it('reports a row of a read model that was changed by hand', async () => {
    const { db, runtime, placeId, analystRole } = here.core
    await rebuild({ db, store: runtime.store, codec: runtime.codec, placeId, analystRole }, ownershipHistory)
    await here.database.pool.query(`update ${schemaOf(ownershipHistory)}.ownership_period set owner_id = 'thief' where customer_id = 'a' and owner_id = 'clerk'`)
    const { code, output } = await here.kehu('audit', 'compare', 'ownership-history')
    expect(output).toMatch(/ownership-history\.ownership_period: \d+ row\(s\) only in use, \d+ only in the replay; e\.g\. a/)
    expect(code).toBe(1)
  })
})

describe('kehu audit verify on a log in EventStoreDB', { timeout: 300_000 }, () => {
  let host: EventStoreDbHost
  let here: Installation
  beforeAll(async () => {
    host = await startHost()
    here = await install({ EVENTSTORE_URL: host.url })
    await enterSome(here.core, ['a', 'b'])
    await makeRootSigner(here.core.roots).signNow()
  })
  afterAll(async () => {
    await uninstall(here)
    await host.stop()
  })

  it('holds it to the roots, and finds an event whose bytes were changed in the server', async () => {
    const { roots: { rootsFile, rootKey }, runtime: { store } } = here.core
    const typed = ['audit', 'verify', '--roots', rootsFile, '--fingerprint', rootKey.key]
    const whole = await here.kehu(...typed)
    expect(whole.output).toMatch(/nothing was altered\.\n1 root fit/)
    expect(whole.code).toBe(0)
    const record = host.log.records.find((one) => one.stream === 'customer-a' && one.type === 'OwnershipClaimed') ?? expect.fail('there is no such record')
    const place = Buffer.from(record.bytes).indexOf('"ownerId":"clerk"')
    expect(place).toBeGreaterThan(0)
    record.bytes.set(Buffer.from('"ownerId":"thief"'), place)
    const { findings } = await verifyLog(auditedThrough(store), { roots: rootsFile, fingerprints: [rootKey.key] })
    expect(findings).toMatchObject([{ kind: 'altered', stream: 'customer-a', revision: 1, detail: 'its hash does not fit its content' }])
    const found = await here.kehu(...typed)
    expect(found.output).toMatch(/ALTERED position \d+, customer-a, revision 1: its hash does not fit its content/)
    expect(found.code).toBe(1)
  })
})
