import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { copyLog, type CopyOptions } from '../../src/cli/log/copy.ts'
import { readConfig } from '../../src/config.ts'
import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { EventStore, RecordedEvent } from '../../src/event-store/port.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { expected, expectWhole, makeEvents, newStream, readLog, times } from '../event-store/contract.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { identityKey, makeService } from '../support/runtime.ts'
import { until } from '../support/http.ts'
import { makeFolder } from './import.world.ts'

const TIMEOUT_MS = 120_000

type Ran = { code: number; stdout: string; stderr: string }
const leaking = ['--from', 'postgres', '--to', 'mysql://root:geheim@db/x']
const oneLine = { code: 1, stdout: '', stderr: expect.stringMatching(/^kehu: (?!.*geheim)[^\n]+\n$/) }

describe('kehu log copy', () => {
  let source: Awaited<ReturnType<typeof makeService>>
  let host: EventStoreDbHost
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let written: Awaited<ReturnType<typeof content>>
  const databases: TestDatabase[] = []
  const stores: EventStore[] = []
  /** What is printed, told apart by who prints it. */
  const printing = new AsyncLocalStorage<string[]>()
  beforeAll(async () => {
    vi.spyOn(console, 'log').mockImplementation((line) => void printing.getStore()?.push(String(line)))
    source = await makeService()
    host = await startHost()
    folder = await makeFolder()
    // Few streams are written again, in turn: appends go in several runs, the first of them of 512.
    const streams = times(600, () => newStream('note'))
    const heads = new Map<string, Head>()
    for (const some of [streams, streams.slice(0, 100), streams.slice(0, 100)]) {
      await Promise.all(some.map(async (stream) => {
        const head = heads.get(stream) ?? emptyHead(stream)
        const made = makeEvents(stream, head, [{ n: 1 }, { n: 2 }, { n: 3 }])
        await source.store.append({ stream, expectedRevision: expected(head), events: made.events })
        heads.set(stream, made.head)
      }))
    }
    written = await content(source.store)
  })
  afterAll(async () => {
    vi.restoreAllMocks()
    for (const store of stores) await store.close()
    for (const database of databases) await database.drop()
    await host.stop()
    await source.close()
    await folder.remove()
  })

  const environment = () => ({ DATABASE_URL: source.database.url, KEHU_DATA_DIR: `${folder.path}/data`, KEHU_IDENTITY_KEY: identityKey.toString('base64') })
  const copy = async (options: Partial<CopyOptions>, env: Record<string, string> = {}): Promise<string> => {
    const lines: string[] = []
    await printing.run(lines, () => copyLog(readConfig({ ...environment(), ...env }), { from: 'postgres', to: host.url, ...options }))
    return lines.join('\n')
  }
  const newDatabase = async (): Promise<{ database: TestDatabase; store: EventStore }> => {
    const database = await makeDatabase()
    const store = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
    databases.push(database)
    stores.push(store)
    return { database, store }
  }
  const under = (prefix: string, pool = source.database.pool): EventStore => {
    const store = makeEventStoreDbEventStore({ url: host.url, pool, prefix })
    stores.push(store)
    return store
  }
  const bare = (events: readonly RecordedEvent[]) => events.map(({ id, type, data, metadata, stream, revision }) => ({ id, type, data, metadata, stream, revision }))
  const content = async (store: EventStore) => bare(await readLog(store, { after: 0n }))

  const command = (given: readonly string[]) => ['--import', 'tsx', 'src/cli/kehu.ts', 'log', 'copy', ...given]
  const kehu = (given: readonly string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, command(given), { env: { ...process.env, ...environment() } }, (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }))
    })
  /** The same in this process. */
  const kehuHere = async (given: readonly string[]): Promise<Ran> => {
    const { argv } = process
    const printed = { stdout: '', stderr: '' }
    const write = (stream: 'stdout' | 'stderr') => vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text)
      return true
    })
    const [out, err] = [write('stdout'), write('stderr')]
    const failed = vi.spyOn(console, 'error').mockImplementation((line) => void (printed.stderr += `${line}\n`))
    for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value)
    process.argv = [process.execPath, 'src/cli/kehu.ts', 'log', 'copy', ...given]
    vi.resetModules()
    try {
      await import('../../src/cli/kehu.ts')
      return { code: Number(process.exitCode ?? 0), ...printed }
    } finally {
      process.argv = argv
      process.exitCode = undefined
      vi.unstubAllEnvs()
      for (const spy of [out, err, failed]) spy.mockRestore()
    }
  }

  it('says how in its help, and ends with 1 and one line when something is wrong', async () => {
    expect(await kehuHere(['--help'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/--from <log>[\s\S]*--to <log>[\s\S]*--from-prefix[\s\S]*--to-prefix[\s\S]*--verify-only[\s\S]*--while-running[\s\S]*Examples:[\s\S]*kehu log copy --from postgres/) })
    for (const given of [[], ['--from', 'postgres'], ['--from', 'postgres', '--to', host.url, '--fast'], leaking]) {
      expect(await kehuHere(given)).toEqual(oneLine)
    }
  }, TIMEOUT_MS)

  // These wait more than they work, and share a source that none of them changes.
  describe.concurrent('side by side', () => {
    it('killed at any moment goes on where it stopped, as an operator types it', async () => {
      // Slow enough that a kill finds appends on their way: in the first run, then in the second of several more.
      const server = await startHost({ appendDelayMs: 100 })
      const target = makeEventStoreDbEventStore({ url: server.url, pool: source.database.pool, prefix: 'killed' })
      stores.push(target)
      const given = ['--from', 'postgres', '--to', server.url, '--to-prefix', 'killed']
      const empty = server.log.records.length
      for (const reached of [1, 1500]) {
        const child = spawn(process.execPath, command(given), { env: { ...process.env, ...environment() }, stdio: 'ignore' })
        const exited = once(child, 'exit')
        await until(() => server.log.records.length - empty >= reached || child.exitCode !== null)
        child.kill('SIGKILL')
        expect(await exited).toEqual([null, 'SIGKILL'])
        const there = await content(target)
        expect(there.length).toBeGreaterThan(0)
        expect(there).toEqual(written.slice(0, there.length))
      }
      const ran = await kehu(given)
      expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/The target has the first [\d,]+ event\(s\) of them already[\s\S]*copied and compared[\s\S]*\nNext: set EVENTSTORE_URL to its connection string and EVENTSTORE_PREFIX to killed, [^\n]+\n$/) })
      expect(ran.stderr).toMatch(/copying .*100% \| [\d,]+ events \| [\d,]+ events\/s \| 0 s left/)
      const there = await readLog(target, { after: 0n })
      expect(there.at(-1)).toMatchObject({ type: 'LogCopied' })
      expect(bare(there.slice(0, -1))).toEqual(written)
      expectWhole(there)
      expect(await copy({ to: server.url, toPrefix: 'killed' })).toContain('The copy is complete')
      await server.stop()
    }, TIMEOUT_MS)

    it('ends with 1 and one line, also as an operator types it', async () => {
      expect(await kehu(leaking)).toEqual(oneLine)
    }, TIMEOUT_MS)

    it.each<[string, Partial<CopyOptions>, string | RegExp]>([
      ['a word that means nothing', { to: 'oracle' }, '--to must be postgres, eventstore, postgres://…, esdb://…'],
      ['eventstore where none is set', { to: 'eventstore' }, '--to eventstore means EVENTSTORE_URL, which is not set'],
      ['no address of Postgres', { from: 'postgres://geheim:geheim@[x' }, '--from must be postgres://user:password@host:port/database'],
      ['no address of EventStoreDB', { to: 'esdb://user:geheim@db:x' }, /^--to must be a connection string of EventStoreDB/],
      ['a prefix for Postgres', { fromPrefix: 'north' }, '--from-prefix is for EventStoreDB'],
      ['a prefix that cannot be', { toPrefix: 'No-rth' }, '--to-prefix must be up to 32 letters a to z and digits'],
      ['one place twice', { from: 'esdb://localhost:2113?tls=false', to: 'kurrentdb://admin:geheim@LOCALHOST,other?tls=true' }, '--from and --to are the same log'],
      ['contradicting options', { verifyOnly: true, whileRunning: true }, '--verify-only writes nothing: it needs no --while-running'],
      ['a Postgres that does not answer', { from: 'postgres://kehu:geheim@127.0.0.1:1/kehu' }, /^The source, postgres:\/\/127\.0\.0\.1:1\/kehu, does not answer: .*ECONNREFUSED/],
      ['a server that does not answer', { to: 'esdb://kehu:geheim@127.0.0.1:1?tls=false' }, /^The target, esdb:\/\/127\.0\.0\.1:1, does not answer/],
      ['a password that is not encoded', { to: 'esdb://kehu:geh@eim@127.0.0.1:1?tls=false' }, '--to has a user or password that is not percent-encoded'],
      ['another that is not', { to: 'esdb://kehu:geh/eim@127.0.0.1:1?tls=false' }, /^(--to |The target, esdb:\/\/127\.0\.0\.1:1,)/],
      ['a database that is not there, under a password that is not encoded', { from: 'postgres://kehu:geh@eim@127.0.0.1:1/kehu' }, /^The source, postgres:\/\/127\.0\.0\.1:1\/kehu, does not answer/],
      ['EventStoreDB without a log', { from: 'esdb://', fromPrefix: 'nobody', to: 'postgres' }, /holds no log of Kehu: is it kept under a prefix \(--from-prefix\)\?$/],
    ])('refuses %s', async (_what, options, message) => {
      const failing = copy(options.from === 'esdb://' ? { ...options, from: host.url } : options)
      await expect(failing).rejects.toThrow(message)
      await failing.catch((error: unknown) => expect(String(error)).not.toMatch(/geh|eim/))
    }, TIMEOUT_MS)

    it('refuses a Postgres without a log, be it bare or migrated, and a password that is wrong', async () => {
      const { database } = await newDatabase()
      await expect(copy({ from: database.url })).rejects.toThrow(/^The source, postgres:\/\/\S+, holds no log of Kehu$/)
      await database.pool.query('drop schema kehu cascade')
      await expect(copy({ from: database.url })).rejects.toThrow('holds no log of Kehu')
      await expect(copy({ to: database.url, verifyOnly: true })).rejects.toThrow('holds no log of Kehu')
      const wrong = Object.assign(new URL(database.url), { password: 'geheim' }).href
      await expect(copy({ from: wrong })).rejects.toThrow(/^The source, postgres:\/\/\S+, cannot be opened: password authentication failed/)
    }, TIMEOUT_MS)

    it('knows one database under two names', async () => {
      const other = Object.assign(new URL(source.database.url), { hostname: 'localhost' }).href
      await expect(copy({ to: other })).rejects.toThrow('--from and --to are the same database')
      await expect(copy({ from: source.database.url, to: other })).rejects.toThrow('--from and --to are the same database')
    }, TIMEOUT_MS)

    it('refuses another installation’s identity key, before anything is written', async () => {
      await expect(copy({ toPrefix: 'key' }, { KEHU_IDENTITY_KEY: Buffer.alloc(32, 8).toString('base64') })).rejects.toThrow(/^The log was opened with identity key [0-9a-f]{16}, and [0-9a-f]{16} is configured/)
      await expect(copy({ toPrefix: 'key' }, { KEHU_IDENTITY_KEY: '' })).rejects.toThrow('and none is configured')
      expect(await content(under('key'))).toEqual([])
    }, TIMEOUT_MS)

    it('refuses a target with anything else in it, naming the first difference, and writes nothing there', async () => {
      const target = under('foreign')
      await target.append({ stream: 'system-log', expectedRevision: 'no_stream', events: makeEvents('system-log', emptyHead('system-log')).events })
      await expect(copy({ toPrefix: 'foreign' })).rejects.toThrow(/^The target is not a copy of the source: event 1 is LogOpened \S+ \(system-log, revision 0\) in the source and Noted \S+ \(system-log, revision 0\) in the target$/)
      await expect(copy({ toPrefix: 'foreign', whileRunning: true })).rejects.toThrow('is not a copy')
      expect(await content(target)).toHaveLength(1)
    }, TIMEOUT_MS)

    it('tells of damage in the source: a row that was altered, one that is gone', async () => {
      const { database, store } = await newDatabase()
      await copy({ to: database.url, whileRunning: true })
      const [event] = (await readLog(store, { after: 1500n })).slice(0, 1)
      await database.pool.query(`update kehu.event set data = '{"n":7}' where position = $1`, [event?.position])
      const named = new RegExp(`^The source is damaged: Noted ${event?.id} \\(${event?.stream}, revision ${event?.revision}\\), position 1501: its hash does not fit its content$`)
      await expect(copy({ from: database.url, toPrefix: 'damaged' })).rejects.toThrow(named)
      await expect(copy({ from: database.url, to: source.database.url, verifyOnly: true })).rejects.toThrow(named)
      // The other way about it is the copy that is damaged.
      await expect(copy({ to: database.url, verifyOnly: true })).rejects.toThrow('The target is damaged: Noted')
      await database.pool.query('delete from kehu.event where position = 1501')
      await expect(copy({ from: database.url, toPrefix: 'gap' })).rejects.toThrow('The source is damaged: 1 event(s) are missing, its positions have gaps')
      expect(await content(under('gap'))).toEqual([])
    }, TIMEOUT_MS)

    it('copies a whole log into another Postgres, and says what is missing there', async () => {
      const { database, store } = await newDatabase()
      await database.pool.query('drop schema kehu cascade; drop schema kehu_migration cascade')
      const printed = await copy({ to: database.url })
      expect(printed).toContain('set DATABASE_URL to it once it holds the keyring and the receipts too (they are not copied)')
      expect((await content(store)).slice(0, -1)).toEqual(written)
    }, TIMEOUT_MS)

    it('settles, before the log leaves EventStoreDB, what a killed service left on its way', async () => {
      const installation = await makeService()
      const { database, store } = await newDatabase()
      const printed = await copy({ toPrefix: 'pending' }, { DATABASE_URL: installation.database.url }).catch((error: unknown) => String(error))
      expect(printed).toContain('copied and compared')
      const there = under('pending', installation.database.pool)
      const commandId = uuidv7()
      const [last] = (await readLog(there, { after: 0n })).filter((event) => event.type === 'LogCopied')
      await installation.database.pool.query(
        `insert into kehu.pending_append (event_id, stream, expected_revision, events, command_id, command_hash, command, streams, status, answer, recorded_at)
         values ($1, 'system-log', 0, 1, $2, 'hash', 'note', '{}', 200, '{}', now())`, [last?.id, commandId])
      // Of another log's installation nothing is settled.
      const pending = async () => (await installation.database.pool.query('select from kehu.pending_append')).rowCount
      await copy({ from: host.url, fromPrefix: 'pending', to: database.url }, { DATABASE_URL: installation.database.url })
      expect(await pending()).toBe(1)
      await installation.database.pool.query('insert into kehu.place (place_id) values ($1) on conflict (one) do update set place_id = excluded.place_id', [String(last?.data['placeId'])])
      await copy({ from: host.url, fromPrefix: 'pending', toPrefix: 'settled' }, { DATABASE_URL: installation.database.url })
      expect(await pending()).toBe(0)
      expect((await installation.database.pool.query('select from kehu.receipt where command_id = $1', [commandId])).rowCount).toBe(1)
      expect((await content(store)).at(-1)).toMatchObject({ type: 'LogCopied' })
      await installation.close()
    }, TIMEOUT_MS)
  })
})
