import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { runTypeScript } from '../support/node.ts'
import type { LogServer } from './log-server.ts'
import { childrenOf, freePort, killNow, repository } from './processes.ts'
import { startProxy, type Proxy } from './proxy.ts'

/** A service process. Each life has a name of its own, by which Postgres knows its connections. */
export type Service = { name: string; url: string; life: string; state: 'starting' | 'up' | 'dead'; dead: Promise<void> }

/**
 * The whole service as an operator would run it: processes of `kehu serve` on one Postgres, each of which can be
 * killed at any time. Who dies without having been killed is a fault.
 */
export type Cluster = {
  dataDir: string
  services: readonly Service[]
  faults: string[]
  /** Postgres as the services reach it: through the proxy. */
  databaseUrl: () => string
  /** And as one does who is not to be cut off. */
  directUrl: () => string
  proxy: Proxy
  token: () => Promise<string>
  start: (service: Service) => Promise<void>
  /** Stops a process where it stands (SIGSTOP); call what is answered to let it go on. Undefined for one that is dead. */
  freeze: (service: Service) => (() => void) | undefined
  /** How often somebody, or the network to Postgres, has been frozen or thawed. */
  freezes: () => number
  /** kill -9, and the end of what its connections had begun. */
  kill: (services: readonly Service[]) => Promise<void>
  /** kill -9 of all its processes; then it is started again. */
  killPostgres: () => Promise<void>
  /** The server of the log, where it has one of its own. */
  logServer: LogServer | undefined
  /** All at once, as when the power fails; Postgres and the log's own server are started again. */
  killEverything: () => Promise<void>
  /** Ends the services as Ctrl-C does. */
  stop: () => Promise<void>
  close: () => Promise<void>
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const program = [...runTypeScript, 'src/cli/kehu.ts']

export const makeCluster = async (options: {
  services: number
  reservationWaitMs: number
  /** The log's own server, which keeps what it has in the directory given; none where the log is in Postgres. */
  logServer?: ((dataDir: string) => Promise<LogServer>) | undefined
}): Promise<Cluster> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'kehu-torture-'))
  // A process that is killed leaves no compiled code behind for the next one: this one does.
  const [started, logServer] = await Promise.all([
    startEmbeddedPostgres({ dataDir }),
    options.logServer?.(dataDir),
    promisify(execFile)(process.execPath, [...program, '--version'], { cwd: repository, env: { ...process.env, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(dataDir, 'compiled') } }),
  ])
  let postgres: EmbeddedPostgres = started
  const { port, url: directUrl } = postgres
  const proxy = await startProxy(port)
  const databaseUrl = Object.assign(new URL(directUrl), { port: String(proxy.port) }).href
  const faults: string[] = []
  const children = new Map<Service, ChildProcess>()
  const expectedDeaths = new Set<ChildProcess>()
  let lives = 0
  let deathsOfPostgres = 0
  let freezes = 0
  let postgresUp = true

  const services: Service[] = []
  for (let n = 0; n < options.services; n += 1) {
    const name = String.fromCharCode(97 + n)
    services.push({ name, url: `http://127.0.0.1:${await freePort()}`, life: '', state: 'dead', dead: Promise.resolve() })
  }

  const start = async (service: Service): Promise<void> => {
    lives += 1
    const life = `${service.name}${lives}`
    const log = await open(join(dataDir, `${life}.log`), 'a')
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(KEHU_|EVENTSTORE_|DATABASE_URL$)/.test(name)))
    const child = spawn(process.execPath, [...program, 'serve'], {
      cwd: repository,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        ...own, HOST: '127.0.0.1', PORT: new URL(service.url).port, KEHU_DATA_DIR: dataDir, DATABASE_URL: `${databaseUrl}?application_name=${life}`,
        KEHU_RESERVATION_WAIT_MS: String(options.reservationWaitMs), LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(dataDir, 'compiled'),
        ...logServer?.environment,
      },
    })
    await log.close()
    const exited = once(child, 'exit')
    const begun = postgresUp ? deathsOfPostgres : deathsOfPostgres - 1
    children.set(service, child)
    Object.assign(service, { life, state: 'starting', dead: exited.then(() => undefined) })
    void exited.then(async ([code, signal]) => {
      const starting = service.state === 'starting'
      if (service.life === life) service.state = 'dead'
      if (expectedDeaths.has(child)) return
      // A start that finds no Postgres says so and ends: an operator starts it again.
      if (starting && deathsOfPostgres > begun) return start(service)
      const said = await readFile(join(dataDir, `${life}.log`), 'utf8').catch(() => '')
      faults.push(`service ${life} ended by itself (${String(code ?? signal)}): ${said.split('\n').slice(-12).join(' | ')}`)
    })
    for (let waited = 0; service.life === life && service.state === 'starting'; waited += 20) {
      const ready = await fetch(`${service.url}/health/ready`, { signal: AbortSignal.timeout(2000) }).then((response) => response.ok, () => false)
      if (service.life !== life || service.state !== 'starting') return
      if (ready) service.state = 'up'
      else if (waited > 60_000) throw new Error(`service ${life} does not become ready`)
      else await pause(20)
    }
  }

  /** What a dead process had sent, Postgres finishes: wait until none of its connections is left. */
  const connectionsGone = async (gone: readonly string[]): Promise<void> => {
    const client = new pg.Client({ connectionString: directUrl, application_name: 'torture itself' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      for (;;) {
        const { rows } = await client.query('select from pg_stat_activity where application_name = any($1)', [gone])
        if (rows.length === 0) return
        await pause(5)
      }
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  const killProcesses = (killed: readonly Service[]): void => {
    for (const service of killed) {
      const child = children.get(service)
      if (!child?.pid || service.state === 'dead') continue
      expectedDeaths.add(child)
      service.state = 'dead'
      killNow(child.pid)
    }
  }

  const killPostgres = async (andAlso: () => void): Promise<void> => {
    const pids = [postgres.pid, ...(await childrenOf(postgres.pid))]
    deathsOfPostgres += 1
    postgresUp = false
    andAlso()
    pids.forEach(killNow)
    await postgres.exited
    postgres = await startEmbeddedPostgres({ dataDir, port })
    postgresUp = true
  }

  const stop = async (): Promise<void> => {
    await Promise.all(services.map(async (service) => {
      const child = children.get(service)
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      expectedDeaths.add(child)
      const exited = once(child, 'exit')
      child.kill('SIGINT')
      const [code] = await exited
      if (code !== 0) faults.push(`service ${service.life} ended with ${String(code)} when it was asked to stop`)
    }))
  }

  return {
    dataDir,
    services,
    faults,
    databaseUrl: () => databaseUrl,
    directUrl: () => directUrl,
    proxy,
    token: async () => (await readFile(join(dataDir, 'tokens', 'system'), 'utf8')).trim(),
    start,
    freeze: (service) => {
      const child = children.get(service)
      if (service.state === 'dead' || !child?.kill('SIGSTOP')) return undefined
      freezes += 1
      return () => {
        child.kill('SIGCONT')
        freezes += 1
      }
    },
    freezes: () => freezes + proxy.freezes(),
    kill: async (killed) => {
      const lost = killed.map((service) => service.life)
      killProcesses(killed)
      await Promise.all(killed.map((service) => service.dead))
      await connectionsGone(lost)
    },
    logServer,
    killPostgres: () => killPostgres(() => undefined),
    killEverything: async () => {
      const alive = services.filter((service) => service.state !== 'dead')
      let logBack: Promise<void> | undefined
      await killPostgres(() => {
        killProcesses(alive)
        logBack = logServer?.restart?.()
      })
      await Promise.all([logBack, ...alive.map((service) => service.dead)])
    },
    stop,
    close: async () => {
      killProcesses(services)
      await Promise.all(services.map((service) => service.dead))
      await logServer?.close()
      await proxy.close()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
