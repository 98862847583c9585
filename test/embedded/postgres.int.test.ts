import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { EmbeddedPostgresError, lockDataDir, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { processStart } from '../../src/embedded/lock.ts'

const isRoot = process.getuid?.() === 0
const nobody = 65534
const folders: string[] = []
const servers: EmbeddedPostgres[] = []

const freshFolder = async (): Promise<string> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'kehu-embedded-')))
  folders.push(folder)
  return folder
}

const start = async (dataDir: string): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ dataDir })
  servers.push(server)
  return server
}

const query = async (server: EmbeddedPostgres, sql: string): Promise<unknown[]> => {
  const client = new Client(server.url)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}

const isRunning = async (pid: number): Promise<boolean> => (await processStart(pid)) !== undefined

/** Runs `code` in a Node of its own; resolves to the first line it prints. It is left running. */
const inChild = async (code: string) => {
  const module = new URL('../../src/embedded/postgres.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', `import * as embedded from '${module}'\n${code}`], {
    cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  const kill = async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return { line: String(output[0]).trim(), pid: child.pid ?? 0, kill }
}

afterAll(async () => {
  await Promise.all(servers.map(server => server.stop()))
  await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
})

describe('embedded PostgreSQL', () => {
  let dataDir: string
  let server: EmbeddedPostgres

  it('starts on an empty folder, and pg_trgm sees Chinese', async () => {
    dataDir = await freshFolder()
    server = await start(dataDir)
    await query(server, 'create extension pg_trgm')
    expect(await query(server, "select cardinality(show_trgm('深圳'))")).toEqual([3])
    expect(await query({ ...server, url: server.url.replace('//kehu:', '//postgres:') }, "select current_setting(name) from unnest('{fsync,synchronous_commit,listen_addresses,unix_socket_directories,TimeZone,server_encoding,shared_buffers}'::text[]) name"))
      .toEqual(['on', 'on', '127.0.0.1', '', 'UTC', 'UTF8', '256MB'])
    expect(await query(server, 'select rolsuper from pg_roles where rolname = current_user')).toEqual([false])
    await query(server, "create table note as select '深圳' as text")
  })

  it('lets nobody in without the password, and keeps its secrets to itself', async () => {
    await expect(query({ ...server, url: server.url.replace(/:[^:@]*@/, ':wrong@') }, 'select 1')).rejects.toThrow(/password authentication failed/)
    for (const name of ['postgres-password', 'postgres.log']) {
      expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o600)
    }
    expect((await readdir(dataDir)).toSorted()).toEqual(['postgres', 'postgres-password', 'postgres.log'])
  })

  it('stops, as often as one likes, and starts again at once with its data', async () => {
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    expect(await isRunning(server.pid)).toBe(false)
    const began = Date.now()
    server = await start(dataDir)
    expect(Date.now() - began).toBeLessThan(2_000)
    expect(await query(server, 'select text from note')).toEqual(['深圳'])
  })

  it('starts again after its postmaster was killed, with a session still open', async () => {
    const client = new Client(server.url)
    client.on('error', () => undefined)
    await client.connect()
    const sleeping = client.query('select pg_sleep(1)').catch(() => undefined)
    process.kill(server.pid, 'SIGKILL')
    await server.stop()
    server = await start(dataDir)
    expect(await query(server, 'select text from note')).toEqual(['深圳'])
    await sleeping
    await client.end().catch(() => undefined)
  })

  it('replaces the PostgreSQL of a killed process', async () => {
    await server.stop()
    const first = await inChild(`console.log((await embedded.startEmbeddedPostgres({ dataDir: '${dataDir}' })).pid)`)
    await first.kill()
    const orphan = Number(first.line)
    expect(await isRunning(orphan)).toBe(true)
    server = await start(dataDir)
    expect(await isRunning(orphan)).toBe(false)
    expect(server.pid).not.toBe(orphan)
    expect(await query(server, 'select text from note')).toEqual(['深圳'])
  })

  it('starts although another program has the process id of a killed postmaster', async () => {
    await server.stop()
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), `${process.pid}\n${dataDir}/postgres\n`)
    server = await start(dataDir)
    expect(await isRunning(process.pid)).toBe(true)
  })

  it('says with the last lines of the log why it does not start', async () => {
    await server.stop()
    const version = join(dataDir, 'postgres', 'PG_VERSION')
    await writeFile(version, '17\n')
    const failure = await start(dataDir).catch((error: unknown) => error)
    await writeFile(version, '18\n')
    expect(failure).toBeInstanceOf(EmbeddedPostgresError)
    expect(String(failure)).toMatch(/^.*does not start: .*initialized by PostgreSQL version 17.*DATABASE_URL\.$/)
  })

  it('says so when the password is lost', async () => {
    const file = join(dataDir, 'postgres-password')
    const password = await readFile(file, 'utf8')
    await rm(file)
    await expect(start(dataDir)).rejects.toThrow(/password of the database in .* is missing/)
    await writeFile(file, 'wrong', { mode: 0o600 })
    await expect(start(dataDir)).rejects.toThrow(/lets nobody in: .*password authentication failed/)
    await writeFile(file, password, { mode: 0o600 })
  })

  it.runIf(isRoot)('takes over files copied by root for the user it runs as', async () => {
    const copy = await freshFolder()
    await cp(dataDir, copy, { recursive: true })
    await chown(copy, nobody, nobody)
    const copied = await start(copy)
    expect(await query(copied, 'select text from note')).toEqual(['深圳'])
    expect((await stat(`/proc/${copied.pid}`)).uid).toBe(nobody)
  })
})

describe('embedded PostgreSQL, first start', () => {
  // Under root also: as "nobody", the owner of the data folder.
  it('repairs an interrupted initdb', async () => {
    const dataDir = await freshFolder()
    await mkdir(join(dataDir, 'postgres.new', 'base'), { recursive: true })
    await writeFile(join(dataDir, 'postgres.new', 'PG_VERSION'), '18\n')
    if (isRoot) await chown(dataDir, nobody, nobody)
    const server = await start(dataDir)
    expect(await query(server, 'select 1')).toEqual([1])
    expect((await readdir(dataDir)).filter(name => name.includes('.new'))).toEqual([])
    expect((await stat(join(dataDir, 'postgres'))).uid).toBe(isRoot ? nobody : process.getuid?.())
  })

  it.runIf(isRoot)('names the folder that keeps the unprivileged user out', async () => {
    const outside = await freshFolder()
    const dataDir = join(outside, 'data')
    await chmod(outside, 0o700)
    await expect(start(dataDir)).rejects.toThrow(`may not enter ${outside}. Run "chmod o+x ${outside}"`)
    expect(await readdir(dataDir)).toEqual([])
  })
})

describe('lockDataDir', () => {
  it('refuses a second process in one line that names the first', async () => {
    const dataDir = await freshFolder()
    const first = await inChild(`
      const lock = await embedded.lockDataDir('${dataDir}')
      await lock.record({ url: 'http://127.0.0.1:8080' })
      setInterval(() => undefined, 1000)
      console.log('locked')`)
    const refusal = await lockDataDir(dataDir).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(EmbeddedPostgresError)
    expect(refusal instanceof Error && refusal.message.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, 'TIME')).toBe(
      `Kehu already runs on ${dataDir}: process ${first.pid}, since TIME, at http://127.0.0.1:8080. Stop it first, or choose another KEHU_DATA_DIR.`,
    )
    await first.kill()
    const second = await lockDataDir(dataDir)
    await expect(lockDataDir(dataDir)).rejects.toThrow(`process ${process.pid},`)
    await second.release()
    await second.release()
    await (await lockDataDir(dataDir)).release()
    expect(await readdir(dataDir)).toEqual([])
  })

  const dead = { id: 'dead', pid: 2 ** 22 + 1, start: 'never', since: '2026-01-01T00:00:00Z' }
  it.each([
    ['of a process that is gone', JSON.stringify(dead)],
    ['of a process whose id another one has now', JSON.stringify({ ...dead, pid: process.pid })],
    ['that a power failure left empty', ''],
  ])('gives a lock %s to exactly one of many', async (_, content) => {
    const dataDir = await freshFolder()
    await writeFile(join(dataDir, 'kehu.lock'), content)
    // A claim on that lock, of a process that died while taking it over.
    await writeFile(join(dataDir, 'kehu.lock.dead'), JSON.stringify({ ...dead, id: 'dead too' }))
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dataDir)))
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const refused of tries) {
      if (refused.status === 'rejected') expect(String(refused.reason)).toMatch(/Kehu already runs/)
    }
    await expect(lockDataDir(dataDir)).rejects.toThrow(`process ${process.pid},`)
  })
})
