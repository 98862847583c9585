import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { processStart } from '../src/embedded/lock.ts'
import { runTypeScript } from './support/node.ts'

const repository = new URL('..', import.meta.url).pathname
/** As `npm run kehu` does; this Node reads TypeScript by itself, which is quicker than through tsx. */
const program = [...runTypeScript, 'src/cli/kehu.ts']

let temporary: string
let dataDir: string
const environment = (more: Record<string, string>): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '', HOME: temporary, KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(temporary, 'compiled'), ...more,
})

type Ended = { code: number | null; stdout: string; stderr: string }
const ended = async (command: string, args: string[], env: Record<string, string> = {}): Promise<Ended> => {
  const child = spawn(command, args, { cwd: repository, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => (said.stdout += String(data)))
  child.stderr.on('data', (data) => (said.stderr += String(data)))
  const [code] = await once(child, 'close')
  return { code, ...said }
}
const kehu = (...args: string[]) => ended(process.execPath, [...program, ...args])

/** Everything started here, so that nothing outlives a test that fails. */
const running = new Set<number>()
const isRunning = async (pid: number): Promise<boolean> => (await processStart(pid)) !== undefined
const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const end = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > end) expect.fail(`not within 60 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

type Service = { url: string; pid: number; output: () => string; interrupt: () => Promise<number | null>; kill: () => Promise<void> }
/** `serve` in a process group of its own, as in a terminal. */
const launch = (command: string, args: string[]) => {
  const child = spawn(command, args, { cwd: repository, env: environment({}), stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const pid = child.pid ?? expect.fail('nothing was started')
  running.add(pid)
  let output = ''
  child.stdout.on('data', (data) => (output += String(data)))
  child.stderr.on('data', (data) => (output += String(data)))
  const exit = once(child, 'exit').then(([code]) => {
    running.delete(pid)
    return typeof code === 'number' ? code : null
  })
  return {
    pid,
    output: () => output,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    interrupt: () => {
      process.kill(-pid, 'SIGINT')
      return exit
    },
    kill: async () => {
      process.kill(-pid, 'SIGKILL')
      await exit
    },
  }
}
const serve = async (command = process.execPath, args = [...program, 'serve']): Promise<Service> => {
  const service = launch(command, args)
  await until(`the service answers: ${service.output()}`, () => /answers at http/.test(service.output()) || service.exited())
  const url = /answers at (http:\S+)/.exec(service.output())?.[1]
  return { ...service, url: url ?? expect.fail(service.output()) }
}

const postmaster = async (): Promise<number> => Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
const token = async (role: string): Promise<string> => (await readFile(join(dataDir, 'tokens', role), 'utf8')).trim()
const ask = async (service: Service, path: string, role = 'clerk'): Promise<unknown> => (await fetch(`${service.url}${path}`, { headers: { authorization: `Bearer ${await token(role)}` } })).json()
const enter = async (service: Service, name: string, mobile: string) => {
  const response = await fetch(`${service.url}/commands/create-customer`, {
    method: 'POST', headers: { authorization: `Bearer ${await token('clerk')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ category: 'individual-retail', name, identifiers: [{ kind: 'mobile', value: mobile }], fields: { source: 'referral' }, contacts: [] }),
  })
  expect(response.status).toBe(201)
  return z.looseObject({ customerId: z.string(), position: z.string() }).parse(await response.json())
}
const modesOf = async (): Promise<Record<string, string>> => {
  const files = (await readdir(dataDir)).filter((name) => name !== 'postgres')
  const tokens = (await readdir(join(dataDir, 'tokens'))).map((name) => join('tokens', name))
  return Object.fromEntries(await Promise.all([...files, ...tokens].map(async (name) => [name, ((await stat(join(dataDir, name))).mode & 0o777).toString(8)])))
}

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'kehu-cli-'))
  // Not below the other: PostgreSQL, under root, runs as somebody who may not enter there.
  dataDir = await mkdtemp(join(tmpdir(), 'kehu-cli-data-'))
})
afterAll(async () => {
  for (const pid of running) process.kill(-pid, 'SIGKILL')
  // Only after a failure is one left.
  await postmaster().then((pid) => process.kill(pid, 'SIGQUIT'), () => undefined)
  for (const folder of [temporary, dataDir]) await rm(folder, { recursive: true, force: true })
})

describe('kehu, without a service', () => {
  it('lists its commands', async () => {
    const { code, stdout, stderr } = await kehu('--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const command of ['serve', 'token', 'projections', 'rebuild <model>', 'compare', 'replay', 'keys']) expect(stdout).toMatch(new RegExp(`^  ${command.replace(/[<>]/g, '.')}`, 'm'))
  })

  it('prints a token and nothing else', async () => {
    const { code, stdout, stderr } = await ended('npm', ['run', '--silent', 'kehu', '--', 'token', '--role', 'clerk', '--employee', 'zhang.wei'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect(decodeJwt(stdout)).toMatchObject({ sub: 'zhang.wei', employeeId: 'zhang.wei', role: 'clerk', iss: 'kehu' })
    const system = await kehu('token', '--role', 'system', '--name', 'importer')
    expect(decodeJwt(system.stdout)).toMatchObject({ sub: 'importer', role: 'system' })
    expect(decodeJwt(system.stdout)).not.toHaveProperty('employeeId')
  })

  it.each([
    [['serv'], 'unknown command \'serv\''],
    [['token'], 'required option \'--role <role>\' not specified'],
    [['token', '--role', 'boss'], 'must be one of clerk, manager, system, admin, auditor, analyst'],
    [['token', '--role', 'clerk'], 'A token of the role clerk takes --employee <id> and no --name'],
    [['token', '--role', 'system', '--employee', 'zhou'], 'takes --name <system> and no --employee'],
    [['token', '--role', 'clerk', '--employee', '王小明'], '--employee must be 1 to 64 letters'],
    [['projections', '--jsn'], 'unknown option \'--jsn\''],
    [['rebuild'], 'missing required argument \'model\''],
    [['rebuild', 'customers'], 'There is no read model customers; there are customer-lookup, duplicates'],
    [['compare', 'customers'], 'There is no read model customers; there are customer-lookup, duplicates'],
  ])('says in one line what is wrong with %s', async (args, message) => {
    const { code, stdout, stderr } = await kehu(...args)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/^kehu: [^\n]+\n$/)
    expect(code).toBe(1)
  })

  it('names every wrong variable of the environment in one message, and no value', async () => {
    const wrong = { PORT: '80801', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://root:geheim@localhost/kehu', KEHU_MASTER_KEY: 'c2hvcnQ=', KEHU_TIME_ZONE: 'Mars/Olympus', KEHU_RESERVATION_WAIT_MS: '1', KEHU_READ_WAIT_MS: 'long', KEHU_JWKS_URL: 'ftp://x', KEHU_SIGNING_KEY: 'geheim', KEHU_ANALYST_ROLE: 'Robert"; drop' }
    for (const args of [['serve'], ['projections']]) {
      const { code, stdout, stderr } = await ended(process.execPath, [...program, ...args], wrong)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/^kehu: The environment is not valid: [^\n]+\n$/)
      for (const [name, value] of Object.entries(wrong)) {
        expect(stderr).toMatch(new RegExp(`\\b${name} must `))
        if (value.length > 4) expect(stderr).not.toContain(value)
      }
    }
  })

  it('says so when the database does not answer, and when a key is not one', async () => {
    const away = await ended(process.execPath, [...program, 'projections'], { DATABASE_URL: 'postgres://kehu:geheim@127.0.0.1:9/kehu' })
    expect(away).toEqual({ code: 1, stdout: '', stderr: 'kehu: The database does not answer: is it running, and is DATABASE_URL right?\n' })
    const key = await ended(process.execPath, [...program, 'token', '--role', 'clerk', '--employee', 'zhou'], { KEHU_SIGNING_KEY: '-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----' })
    expect(key).toEqual({ code: 1, stdout: '', stderr: 'kehu: The signing key is not an Ed25519 private key in PEM (PKCS #8)\n' })
  })
})

describe('kehu, on a data folder of its own', () => {
  let service: Service
  let wang: { customerId: string; position: string }

  const reading = () => Promise.all([kehu('projections'), kehu('projections', '--json'), kehu('replay', 'ownership', wang.customerId, '--json'), kehu('replay', 'ownership', wang.customerId, '--as-of', 'yesterday')])

  it('starts, with every secret readable to its owner alone', async () => {
    service = await serve('npm', ['start'])
    expect(service.output()).toContain('tokens/ (clerk, manager, system, admin, auditor, analyst)')
    const modes = await modesOf()
    expect(Object.keys(modes)).toEqual(expect.arrayContaining(['master.key', 'identity.key', 'signing-key.pem', 'database-url', 'postgres-password', 'postgres.log', 'kehu.lock', 'tokens/clerk', 'tokens/system']))
    expect(Object.entries(modes).filter(([name, mode]) => name !== 'tokens' && mode !== '600')).toEqual([])
    expect(modes['tokens']).toBe('700')
    wang = await enter(service, '王小明', '13800138000')
    expect(await ask(service, `/customers/${wang.customerId}?after=${wang.position}`)).toMatchObject({ name: '王小明', ownerId: 'clerk' })
  })

  it('refuses a second service on the same folder in one line that names the first', async () => {
    const { code, stdout, stderr } = await kehu('serve')
    const [, pid] = new RegExp(`^kehu: Kehu already runs on ${dataDir}: process (\\d+), since \\S+, at ${service.url}\\. Stop it first, or choose another KEHU_DATA_DIR\\.\n$`).exec(stderr) ?? []
    expect(stderr).toBe(`kehu: Kehu already runs on ${dataDir}: process ${pid ?? '?'}, since ${/since (\S+),/.exec(stderr)?.[1] ?? '?'}, at ${service.url}. Stop it first, or choose another KEHU_DATA_DIR.\n`)
    expect(await isRunning(Number(pid))).toBe(true)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(await ask(service, '/health/ready')).toMatchObject({ status: 'ok' })
  })

  it('answers beside the running service: projections, replay, compare, rebuild', async () => {
    const [[table, json, replay, wrongTime], compared] = await Promise.all([reading(), kehu('compare')])
    expect(table.code).toBe(0)
    expect(table.stdout).toMatch(/^The log ends at position \d+\.$/m)
    const rows = json.stdout.trim().split('\n').map((line) => z.looseObject({ model: z.string(), build: z.string(), state: z.string(), lag: z.number() }).parse(JSON.parse(line)))
    // While the comparison runs, what it builds is listed too.
    const live = rows.filter((row) => row.build === 'live')
    expect(live.map((row) => row.model)).toEqual(expect.arrayContaining(['customer-lookup', 'duplicates', 'lifecycle', 'ownership-history']))
    expect(live.filter((row) => row.state !== 'ready' || row.lag !== 0)).toEqual([])
    for (const { model } of live) expect(table.stdout).toContain(model)
    const history = z.object({ periods: z.array(z.unknown()) }).parse(await ask(service, `/customers/${wang.customerId}/ownership`))
    expect(JSON.parse(replay.stdout)).toEqual({ customerId: wang.customerId, periods: history.periods })
    expect(wrongTime).toEqual({ code: 1, stdout: '', stderr: 'kehu: The parameter --as-of is not a time. --as-of must be an instant such as 2026-03-03T09:30:00+08:00, or a day such as 2026-03-03\n' })
    expect(compared.stdout.trim().split('\n')).toEqual(live.map((row) => `${row.model}: every column of every row equals a replay.`).toSorted().map(() => expect.stringMatching(/^[\w-]+: every column of every row equals a replay\.$/)))
    expect(compared.code).toBe(0)

    const rebuilt = await kehu('rebuild', 'customer-lookup')
    expect(rebuilt.stdout).toMatch(/^customer-lookup version \d+ was built anew up to position \d+ and is in use\.\n$/)
    const li = await enter(service, '李四', '13800138001')
    expect(await ask(service, `/customers/${li.customerId}?after=${li.position}`)).toMatchObject({ name: '李四' })
  })

  it('pauses a read model of the running service, which says so, and lets it go on', async () => {
    const stateOf = async () => z.object({ models: z.array(z.object({ model: z.string(), state: z.string() })) }).parse(await (await fetch(`${service.url}/health/ready`)).json()).models.find(({ model }) => model === 'customer-lookup')?.state
    expect((await kehu('projections', 'pause', 'customer-lookup')).stdout).toContain('customer-lookup is paused')
    await until('it is paused', async () => (await stateOf()) === 'paused')
    expect((await kehu('projections')).stdout).toMatch(/customer-lookup.*paused/)
    const zhao = await enter(service, '赵六', '13800138009')
    expect((await kehu('projections', 'resume', 'customer-lookup')).code).toBe(0)
    expect(await ask(service, `/customers/${zhao.customerId}?after=${zhao.position}`)).toMatchObject({ name: '赵六' })
    expect(await kehu('projections', 'prune')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Nothing to drop/) })
    expect(await kehu('projections', 'pause', 'customers')).toMatchObject({ code: 1, stderr: expect.stringMatching(/^kehu: There is no read model customers; there are /) })
  })

  it('stops at Ctrl-C, and PostgreSQL with it', async () => {
    const postgres = await postmaster()
    expect(await isRunning(postgres)).toBe(true)
    await service.interrupt()
    expect(service.output()).toContain('Stopping: finishing what was accepted')
    await until('PostgreSQL is gone', async () => !(await isRunning(postgres)))
    expect(await readdir(dataDir)).not.toContain('kehu.lock')
  })

  it('answers without a service as well, and leaves no PostgreSQL running', async () => {
    const table = await kehu('projections')
    expect(table).toMatchObject({ code: 0, stderr: '' })
    const replay = await kehu('replay', 'ownership', wang.customerId, '--as-of', new Date().toISOString())
    expect(replay.stdout).toContain('first-entry')
    expect((await kehu('replay', 'ownership', wang.customerId, '--as-of', '2020-01-01')).stdout).toBe('Nobody: at that time the log knew of no such customer.\n')
    const compared = await kehu('compare', 'customer-lookup')
    expect(compared).toEqual({ code: 0, stdout: 'customer-lookup: every column of every row equals a replay.\n', stderr: expect.anything() })
    expect((await kehu('rebuild', 'customer-lookup')).code).toBe(0)
    expect((await readdir(join(dataDir, 'postgres'))).includes('postmaster.pid')).toBe(false)
  })

  it('is stopped by Ctrl-C while it starts, and leaves nothing behind', async () => {
    const starting = launch(process.execPath, [...program, 'serve'])
    await until('PostgreSQL comes up', () => starting.output().includes('Starting PostgreSQL'))
    await starting.interrupt()
    expect(starting.exited()).toBe(true)
    expect(await readdir(join(dataDir, 'postgres'))).not.toContain('postmaster.pid')
    expect(await readdir(dataDir)).not.toContain('kehu.lock')
  })

  it('finds its data after kill -9 of service and PostgreSQL', async () => {
    service = await serve()
    const zhao = await enter(service, '赵六', '13800138002')
    const postgres = await postmaster()
    await service.kill()
    process.kill(postgres, 'SIGKILL')
    await until('PostgreSQL is gone', async () => !(await isRunning(postgres)))
    service = await serve()
    expect(await ask(service, `/customers/${zhao.customerId}?after=${zhao.position}`)).toMatchObject({ name: '赵六' })
    // The PostgreSQL of a service that was killed alone is replaced.
    const orphan = await postmaster()
    await service.kill()
    expect(await isRunning(orphan)).toBe(true)
    service = await serve()
    expect(await isRunning(orphan)).toBe(false)
    expect(await ask(service, '/customers?identifier=mobile:13800138002')).toMatchObject({ items: [{ customerId: zhao.customerId }] })
    await service.interrupt()
  })

  it('rotates the master key; what was written before is readable after it', async () => {
    const before = await readFile(join(dataDir, 'master.key'), 'utf8')
    const rotated = await kehu('keys', 'rotate')
    expect(rotated.stdout).toMatch(/^[1-9]\d* key\(s\) were wrapped anew\. Restart every running Kehu\.\n$/)
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).not.toBe(before)
    expect(Object.entries(await modesOf()).filter(([name, mode]) => /key/.test(name) && mode !== '600')).toEqual([])
    expect(await readdir(dataDir)).not.toContain('master.old.keys')
    service = await serve()
    // From the events themselves, which are sealed.
    const events = z.object({ items: z.array(z.looseObject({ type: z.string(), data: z.looseObject({ name: z.unknown().optional() }) })) }).parse(await ask(service, `/customers/${wang.customerId}/events`, 'auditor'))
    expect(events.items[0]?.data.name).toMatchObject({ value: '王小明' })
    const sun = await enter(service, '孙七', '13800138003')
    expect(await ask(service, `/customers/${sun.customerId}?after=${sun.position}`)).toMatchObject({ name: '孙七' })
    expect((await kehu('compare', 'customer-lookup')).code).toBe(0)
    await service.interrupt()
  })
})
