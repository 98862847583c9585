import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../src/config.ts'
import { serve, type Core } from '../../src/main.ts'
import { loadSecrets, signToken } from '../../src/secrets.ts'
import { makeDatabase, type TestDatabase } from './database.ts'
import { makeLog, type TestLog } from './log.ts'
import { runTypeScript } from './node.ts'
import { makeConformance, type Conformance } from './openapi.ts'

export const roles = ['clerk', 'manager', 'system', 'admin', 'auditor', 'analyst'] as const
export type RoleName = (typeof roles)[number]

/** An answer as it came, already found to be what /openapi.json says this route may answer. */
export type Answer = { status: number; headers: Headers; text: string; json: unknown }

export type Options = { key?: string; onBehalfOf?: string; ifMatch?: string; dryRun?: boolean; headers?: Record<string, string> }

/** Somebody who sends requests: a role, and the employee or system it belongs to. */
export type Sender = {
  send: (command: string, body: unknown, options?: Options) => Promise<Answer>
  get: (path: string, headers?: Record<string, string>) => Promise<Answer>
  post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>
  batch: (lines: readonly unknown[]) => Promise<BatchAnswer[]>
  /** Any request at all, with this sender's token. */
  request: (method: string, path: string, init?: { headers?: Record<string, string>; body?: string | Uint8Array }) => Promise<Answer>
}

const Accepted = z.looseObject({
  commandId: z.string(), customerId: z.string().default(''), streamId: z.string(), revision: z.number(), position: z.string().default(''), dryRun: z.boolean().optional(),
  events: z.array(z.object({ id: z.string().optional(), type: z.string(), revision: z.number() })), warnings: z.array(z.unknown()),
})
const Problem = z.looseObject({
  type: z.string().startsWith('/docs/problems/'), title: z.string(), status: z.number(), detail: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
})
const Health = z.looseObject({ models: z.array(z.looseObject({ state: z.string() })) })
const BatchAnswer = z.object({ line: z.number(), key: z.string().nullable(), status: z.number(), answer: z.looseObject({ customerId: z.string().optional(), type: z.string().optional() }) })
export type BatchAnswer = z.infer<typeof BatchAnswer>

/** The answer of a command that was accepted; throws for any other. */
export const accepted = (answer: Answer): z.infer<typeof Accepted> => {
  if (answer.status >= 300) throw new Error(`not accepted: ${answer.status} ${answer.text}`)
  return Accepted.parse(answer.json)
}

/** The problem of a refusal, with its name; throws when there is none. */
export const problemOf = (answer: Answer): z.infer<typeof Problem> & { name: string } => {
  const problem = Problem.parse(answer.json)
  if (problem.status !== answer.status) throw new Error(`a problem of status ${problem.status} came with ${answer.status}`)
  return { ...problem, name: problem.type.slice('/docs/problems/'.length) }
}

export const parseLines = (text: string): BatchAnswer[] => text.split('\n').filter((line) => line !== '').map((line) => BatchAnswer.parse(JSON.parse(line)))

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const makeSender = (url: string, token: () => Promise<string | undefined>, conformance: () => Promise<Conformance>): Sender => {
  const request: Sender['request'] = async (method, path, init = {}) => {
    const bearer = await token()
    const response = await fetch(`${url}${path}`, {
      method, redirect: 'manual', body: init.body ?? null,
      headers: { ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }), ...init.headers },
    })
    const text = await response.text()
    const answer = { status: response.status, headers: response.headers, text, json: parseJson(text) }
    const check = await conformance()
    check(method, path, answer)
    return answer
  }
  const post: Sender['post'] = (path, body, headers = {}) => request('POST', path, { headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  return {
    request,
    post,
    get: (path, headers) => request('GET', path, headers === undefined ? {} : { headers }),
    send: (command, body, options = {}) => post(`/commands/${command}${options.dryRun ? '?dryRun=true' : ''}`, body, {
      ...(options.key === undefined ? {} : { 'idempotency-key': options.key }),
      ...(options.onBehalfOf === undefined ? {} : { 'on-behalf-of': options.onBehalfOf }),
      ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
      ...options.headers,
    }),
    batch: async (lines) => {
      const body = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')
      const answer = await request('POST', '/commands', { headers: { 'content-type': 'application/x-ndjson' }, body })
      if (answer.status !== 200) throw new Error(`the batch was refused: ${answer.status} ${answer.text}`)
      return parseLines(answer.text)
    },
  }
}

/** What every test of the service works with: its database, its secrets, senders of any role. */
export type Place = {
  database: TestDatabase
  log: TestLog
  environment: Record<string, string>
  /** A token as this service's own key signs it; any role, any employee. */
  token: (role: string, subject: string) => Promise<string>
  /** The first employee of the role unless named; for a system its name. Speaks to the service at `url`. */
  as: (role: RoleName, subject?: string, url?: string) => Sender
  /** Sends exactly this bearer token, or none. */
  with: (token: string | undefined, url?: string) => Sender
  /** How many events the log has, but for what happens beside whatever was sent: cases of near matches, roots. */
  head: () => Promise<number>
  /** Commands that have a receipt, or are about to: all, or one of them. */
  receipts: (commandId?: unknown) => Promise<number>
  close: () => Promise<void>
}

/** A database and a data folder of one's own; where no service runs yet, `urls` says later where they do. */
export const makePlace = async (env: Record<string, string>, defaultUrl: () => string): Promise<Place> => {
  const database = await makeDatabase()
  const log = await makeLog(database)
  const dataDir = await mkdtemp(join(tmpdir(), 'kehu-e2e-'))
  const environment = { ...log.environment, DATABASE_URL: database.url, KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'error', KEHU_RESERVATION_WAIT_MS: '500', KEHU_READ_WAIT_MS: '20000', ...env }
  const config = readConfig(environment)
  const { signingKey = '' } = await loadSecrets(config)
  const tokens = new Map<string, Promise<string>>()
  const token: Place['token'] = (role, subject) => {
    const name = `${role} ${subject}`
    const signed = tokens.get(name) ?? signToken(signingKey, config.tokenIssuer, role === 'system' ? { role, name: subject } : { role, employeeId: subject })
    tokens.set(name, signed)
    return signed
  }
  let conformance: Promise<Conformance> | undefined
  const learned = () => (conformance ??= fetch(`${defaultUrl()}/openapi.json`).then((response) => response.json()).then(makeConformance))
  const sender = (of: () => Promise<string | undefined>, url = defaultUrl()) => makeSender(url, of, learned)
  return {
    database,
    log,
    environment,
    token,
    as: (role, subject = role === 'system' ? 'first-system' : role, url) => sender(() => token(role, subject), url),
    with: (given, url) => sender(async () => given, url),
    head: async () => (await log.events()).filter(({ stream }) => !/^(duplicateCase|root)-/.test(stream)).length,
    receipts: async (commandId) => {
      const { rows } = await database.pool.query<{ n: number }>(
        `select count(distinct command_id)::int as n from (select command_id, command from kehu.receipt union all select command_id, command from kehu.pending_append) as all_of_them
         where ($1::uuid is null or command_id = $1) and command <> 'open-duplicate-case'`, [commandId ?? null])
      return rows[0]?.n ?? 0
    },
    close: async () => {
      await log.close()
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export type TestService = Place & { url: string; core: Core; stop: () => Promise<void> }

/** The whole service in this process, on a database of its own. */
export const startService = async (env: Record<string, string> = {}): Promise<TestService> => {
  let url = ''
  const place = await makePlace(env, () => url)
  const service = await serve(readConfig(place.environment), () => undefined)
  url = service.url
  await until(async () => Health.parse(await fetch(`${url}/health/ready`).then((response) => response.json())).models.every((model) => model.state === 'live'))
  return {
    ...place,
    url,
    core: service.core,
    stop: service.stop,
    close: async () => {
      await service.stop()
      await place.close()
    },
  }
}

export type ServiceProcess = { url: string; child: ChildProcess; output: () => string; stop: () => Promise<number | null> }

// A test that fails half-way leaves no service behind.
const children = new Set<ChildProcess>()
const killChildren = () => children.forEach((child) => child.kill('SIGKILL'))
process.once('exit', killChildren).once('SIGTERM', () => {
  killChildren()
  process.exit(1)
})

/** The service as operators run it: a process of its own. Several may share one place. */
export const startProcess = async (place: Pick<Place, 'environment'>, env: Record<string, string> = {}): Promise<ServiceProcess> => {
  const child = spawn(process.execPath, [...runTypeScript, 'src/cli/kehu.ts', 'serve'], { env: { ...process.env, ...place.environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const exited = once(child, 'exit').finally(() => children.delete(child))
  let url = ''
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`the service did not start: ${output}`)
    url = /answers at (http:\S+)/.exec(output)?.[1] ?? ''
    return url !== '' && (await fetch(`${url}/health/ready`)).ok
  })
  return {
    url,
    child,
    output: () => output,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await exited
      return child.exitCode
    },
  }
}

/** Waits until it is so, looking often; throws when it has not come within half a minute. */
export const until = async (isSo: () => Promise<boolean> | boolean): Promise<void> => {
  const end = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it did not come to be')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
