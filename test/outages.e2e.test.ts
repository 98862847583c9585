import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { describe, inject, it } from 'vitest'
import { readConfig } from '../src/config.ts'
import { serve } from '../src/main.ts'
import { individual } from './http/people.ts'
import { makeDatabase } from './support/database.ts'
import { accepted, problemOf, startService, until } from './support/http.ts'
import { startProxy } from './torture/proxy.ts'

const run = promisify(execFile)

/** What the service says of itself: status, and why it is not ready. */
const readiness = async (url: string): Promise<[number, unknown]> => {
  const response = await fetch(`${url}/health/ready`)
  const body: unknown = await response.json()
  return [response.status, typeof body === 'object' && body !== null && 'reason' in body ? body.reason : undefined]
}

/** A disk of its own for a test, small; undefined where this user may not make one. */
const makeSmallDisk = async (): Promise<{ folder: string; fill: () => Promise<void>; clear: () => Promise<void>; close: () => Promise<void> } | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), 'kehu-small-disk-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=100m,mode=755', 'tmpfs', folder])
  } catch (error) {
    await remove()
    process.stdout.write(`skipped: the test on a full disk, for this user may not mount one: ${error instanceof Error ? error.message : ''}\n`)
    return undefined
  }
  const filler = join(folder, 'filler')
  return {
    folder,
    fill: async () => {
      const file = await open(filler, 'a')
      const block = Buffer.alloc(4096)
      try {
        for (;;) await file.write(block)
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      } finally {
        await file.close()
      }
    },
    clear: () => rm(filler),
    close: async () => {
      await run('umount', ['--lazy', folder])
      await remove()
    },
  }
}

const disk = await makeSmallDisk()

describe.concurrent('a PostgreSQL that takes no writes', () => {
  it('because it is read-only turns commands into 503 with Retry-After, says why, goes on answering queries; and all is well by itself when it is over', async ({ expect }) => {
    const service = await startService()
    const superuser = new pg.Client({ connectionString: inject('postgresUrl') })
    await superuser.connect()
    const name = new URL(service.database.url).pathname.slice(1)
    // As when a server fails over: those who were connected are cut off, and find it changed.
    const set = async (setting: string) => {
      await superuser.query(`alter database ${name} ${setting}`)
      await superuser.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    }
    try {
      const clerk = service.as('clerk')
      const { customerId, position } = accepted(await clerk.send('create-customer', individual()))
      expect((await clerk.get(`/customers/${customerId}?after=${position}`)).status).toBe(200)
      await set('set default_transaction_read_only = on')
      await until(async () => (await readiness(service.url))[0] === 503)
      expect(await readiness(service.url)).toEqual([503, 'PostgreSQL is read-only'])

      const [body, line] = [individual(), { command: 'create-customer', key: 'a line', body: individual() }]
      const [entry, move, lines] = await Promise.all([
        clerk.send('create-customer', body, { key: 'while read-only' }), clerk.send('change-stage', { customerId, to: 'prospect' }, { key: 'the stage' }), clerk.batch([line]),
      ])
      for (const answer of [entry, move]) {
        expect(problemOf(answer)).toMatchObject({ name: 'log-unavailable', status: 503, detail: 'Nothing can be written: PostgreSQL is read-only.' })
        expect(answer.headers.get('retry-after')).toBe('1')
      }
      expect(lines.map(({ status, answer }) => [status, answer['detail']])).toEqual([[503, 'Nothing can be written: PostgreSQL is read-only.']])
      expect((await clerk.get(`/customers/${customerId}`)).status).toBe(200)

      await set('reset default_transaction_read_only')
      await until(async () => (await readiness(service.url))[0] === 200)
      accepted(await clerk.send('change-stage', { customerId, to: 'prospect' }, { key: 'the stage' }))
      const entered = accepted(await clerk.send('create-customer', body, { key: 'while read-only' }))
      expect((await clerk.get(`/customers/${entered.customerId}?after=${entered.position}`)).status).toBe(200)
    } finally {
      await superuser.end()
      await service.close()
    }
  })

  it.skipIf(disk === undefined)('because its disk is full turns commands into 503 with Retry-After, says why, also when it brings PostgreSQL down; and all is well by itself when there is room again', async ({ expect }) => {
    if (!disk) return
    const dataDir = join(disk.folder, 'kehu')
    const said: string[] = []
    const service = await serve(readConfig({ KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent' }), (line) => said.push(line))
    try {
      const token = (await readFile(join(dataDir, 'tokens', 'clerk'), 'utf8')).trim()
      const bodies = new Map<string, string>()
      const bodyOf = (key: string): string => {
        const body = bodies.get(key) ?? JSON.stringify(individual())
        bodies.set(key, body)
        return body
      }
      const create = async (key: string) => {
        const response = await fetch(`${service.url}/commands/create-customer`, {
          method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key }, body: bodyOf(key),
        })
        return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() }
      }
      expect((await create('before')).status).toBe(201)
      await disk.fill()
      // A little room is left in the files that are there.
      const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => create(`full ${n}`)))
      const refused = answers.filter(({ status }) => status !== 201)
      expect(refused.length).toBeGreaterThan(0)
      for (const answer of refused) expect(answer).toEqual({ status: 503, retryAfter: '1', text: expect.stringContaining('Nothing can be written: PostgreSQL has no room left on its disk.') })
      expect(await readiness(service.url)).toEqual([503, 'PostgreSQL has no room left on its disk'])

      const pid = Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
      process.kill(pid, 'SIGKILL')
      await until(() => said.some((line) => line.startsWith('PostgreSQL cannot be started, and will be tried again')))
      expect(await readiness(service.url)).toEqual([503, 'PostgreSQL does not answer'])

      await disk.clear()
      await until(async () => (await readiness(service.url))[0] === 200)
      const again = await Promise.all(answers.map((_, n) => create(`full ${n}`)))
      expect(again.map(({ status }) => status)).toEqual(answers.map(() => 201))
      answers.forEach((answer, n) => answer.status === 201 && expect(again[n]?.text).toBe(answer.text))
    } finally {
      await service.stop()
      await disk.close()
    }
  })

  it('because the network has fallen silent turns commands and queries into 503 in time, says why; and when it speaks again the same keys have one answer', async ({ expect }) => {
    const database = await makeDatabase()
    const proxy = await startProxy(Number(new URL(database.url).port))
    const dataDir = await mkdtemp(join(tmpdir(), 'kehu-silent-'))
    const WAIT_MS = 1500
    const service = await serve(readConfig({ KEHU_DATA_DIR: dataDir, DATABASE_URL: Object.assign(new URL(database.url), { port: String(proxy.port) }).href, PORT: '0', LOG_LEVEL: 'silent', KEHU_DATABASE_WAIT_MS: String(WAIT_MS) }), () => undefined)
    try {
      const token = (await readFile(join(dataDir, 'tokens', 'clerk'), 'utf8')).trim()
      const create = async (key: string, body: object) => {
        const response = await fetch(`${service.url}/commands/create-customer`, {
          method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key }, body: JSON.stringify(body),
        })
        return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() }
      }
      const bodies = Array.from({ length: 20 }, () => individual())
      await until(async () => (await readiness(service.url))[0] === 200)
      expect((await create('before', individual())).status).toBe(201)

      // Some of them are on their way when it falls silent.
      const underWay = bodies.map((body, n) => create(`silent ${n}`, body))
      proxy.freeze(true)
      const started = performance.now()
      const answers = await Promise.all(underWay)
      const query = await fetch(`${service.url}/customers`, { headers: { authorization: `Bearer ${token}` } })
      expect(performance.now() - started).toBeLessThan(20 * WAIT_MS)
      for (const answer of answers.filter(({ status }) => status !== 201)) expect([answer.status, answer.retryAfter]).toEqual([503, '1'])
      expect(answers.filter(({ status }) => status === 503).length).toBeGreaterThan(0)
      expect([query.status, query.headers.get('retry-after')]).toEqual([503, '1'])
      await until(async () => (await readiness(service.url))[0] === 503)
      expect(await readiness(service.url)).toEqual([503, 'PostgreSQL does not answer'])

      proxy.freeze(false)
      await until(async () => (await readiness(service.url))[0] === 200)
      const again = await Promise.all(bodies.map((body, n) => create(`silent ${n}`, body)))
      expect(again.map(({ status }) => status)).toEqual(bodies.map(() => 201))
      answers.forEach((answer, n) => answer.status === 201 && expect(again[n]?.text).toBe(answer.text))
      const { rows } = await database.pool.query<{ n: number }>(`select count(*)::int as n from kehu.event where type = 'CustomerCreated'`)
      expect(rows).toEqual([{ n: bodies.length + 1 }])
    } finally {
      proxy.freeze(false)
      await service.stop()
      await proxy.close()
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})
