import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql, type Kysely } from 'kysely'
import { pino, type Logger } from 'pino'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { migrate } from '../migrations/index.ts'
import { bootstrapLog, firstEmployees } from './commands/bootstrap.ts'
import { makeFolds } from './commands/folds.ts'
import { makeKeyedHash } from './commands/keyed-hash.ts'
import { makeLiveOrganisation } from './commands/organisation.ts'
import { PROCESS as HANDOVERS, runHandovers } from './commands/processes/handovers.ts'
import { makeRootSigner, type RootDependencies } from './commands/processes/roots.ts'
import { runProcesses, type ProcessDependencies } from './commands/processes/run.ts'
import type { Runtime } from './commands/runtime.ts'
import type { Config } from './config.ts'
import { dueByProcess } from './due.ts'
import { makeComplaintFinder, makeCountHoldings } from './finders.ts'
import { lockDataDir, startEmbeddedPostgres, type EmbeddedPostgres } from './embedded/postgres.ts'
import { makeFindAttempts } from './event-store/attempts.ts'
import { fingerprint, type Keyring } from './event-store/keyring.ts'
import { adoptPlace, checkUnplaced } from './event-store/place.ts'
import { EventStoreUnavailable } from './event-store/port.ts'
import { isConnectionError } from './event-store/postgres/connection.ts'
import { watchWrites, type WriteWatch } from './event-store/writes.ts'
import { makeRootRanges } from './event-store/root-range.ts'
import { makeProcessLog, type ProcessLog } from './event-store/process-log.ts'
import { orAborted, pause, within } from './event-store/waiting.ts'
import { makeServer } from './http/server.ts'
import { makeVerifyToken } from './http/token.ts'
import { projections } from './projections/all.ts'
import { makeNearMatchFinder } from './projections/duplicates/near-matches.ts'
import { makeHandoverBook } from './projections/handovers/work.ts'
import { makeReadModels, type ReadModels } from './projections/read-models.ts'
import { answeredElsewhere } from './projections/versions.ts'
import { startProjector } from './projector.ts'
import { loadSecrets, writeFirstTokens, type Secrets } from './secrets.ts'
import { openStorage } from './storage.ts'
import { version } from './version.ts'

/** Everything below HTTP, wired: what the service and the command line both stand on. */
export type Core = {
  config: Config
  secrets: Secrets
  db: Kysely<unknown>
  runtime: Runtime
  keyring: Keyring
  processLog: ProcessLog
  readModels: ReadModels
  writes: WriteWatch
  roots: RootDependencies
  placeId: string
  /** Where the log has been before it was copied to where it is. */
  earlierPlaces: readonly string[]
  analystRole: string | null
  connectionString: string
  firstStart: boolean
  close: () => Promise<void>
}

/** Connects, migrates, and opens the log (giving an empty one its defaults). */
export const openCore = async (config: Config, connectionString: string, report: (message: string) => void, observe?: Runtime['observe']): Promise<Core> => {
  const secrets = await loadSecrets(config)
  const { pool, db, queries, store, keyring, codec, close: closeStorage } = await openStorage({ ...config, connectionString, masterKeys: secrets.masterKeys })
  await migrate(db)
  const analystRole = await ensureAnalystRole(db, config.analystRole, report)
  const readModels = makeReadModels({ db: queries, connectionString, head: store.head, waitMs: config.readWaitMs, databaseWaitMs: config.databaseWaitMs })
  const runtime: Runtime = {
    store,
    codec,
    organisation: makeLiveOrganisation(store, codec),
    keyedHash: makeKeyedHash(secrets.identityKey),
    now: () => new Date(),
    elapsed: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    reservationWaitMs: config.reservationWaitMs,
    folds: makeFolds(),
    nearMatches: makeNearMatchFinder(readModels),
    holdings: makeCountHoldings(readModels),
    findAttempts: makeFindAttempts(pool),
    findComplaints: makeComplaintFinder(readModels),
    handovers: makeHandoverBook(readModels),
    ...(observe ? { observe } : {}),
  }
  const close = async () => {
    await readModels.close()
    await closeStorage()
  }
  try {
    await runtime.organisation.refresh()
    if (runtime.organisation.current().log === null) await checkUnplaced(pool)
    const { opened } = await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(secrets.identityKey), timeZone: config.timeZone })
    const places = runtime.organisation.current().log?.places ?? []
    await adoptPlace(pool, places)
    const placeId = places.at(-1) ?? ''
    const roots = { runtime, placeId, ranges: makeRootRanges(pool), rootKey: secrets.rootKey, rootsFile: config.rootsFile }
    return { config, secrets, db, runtime, keyring, processLog: makeProcessLog(pool), readModels, writes: watchWrites({ connectionString, pool }), roots, placeId, earlierPlaces: places.slice(0, -1), analystRole, connectionString, firstStart: opened, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The analysts' read-only role: made if this user may; a managed Postgres may refuse, and is not worse for it. */
const ensureAnalystRole = async (db: Kysely<unknown>, role: string, report: (message: string) => void): Promise<string | null> => {
  const exists = async () => (await sql`select from pg_roles where rolname = ${role}`.execute(db)).rows.length > 0
  try {
    if (!(await exists())) await sql`create role ${sql.id(role)} nologin`.execute(db)
    return role
  } catch {
    if (await exists()) return role
    report(`The role ${role} for analysts does not exist and this database user may not create it: views are made, grants are not. Create it, or name another in KEHU_ANALYST_ROLE.`)
    return null
  }
}

/** A Postgres to stand on: the one of DATABASE_URL, or the embedded one, kept running. */
export const openDatabase = async (config: Config, onProgress: (message: string) => void): Promise<{ connectionString: string; record: (url: string) => Promise<void>; close: () => Promise<void> }> => {
  if (config.databaseUrl !== undefined) return { connectionString: config.databaseUrl, record: async () => undefined, close: async () => undefined }
  const lock = await lockDataDir(config.dataDir)
  try {
    let postgres: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir: config.dataDir, onProgress })
    const closing = new AbortController()
    const { url, port } = postgres
    /** A full disk, say, keeps it from starting: it is tried again until there is room. */
    const startAgain = async (attempt = 0): Promise<void> => {
      onProgress('PostgreSQL has gone: starting it again')
      try {
        postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, port, onProgress })
      } catch (error) {
        onProgress(`PostgreSQL cannot be started, and will be tried again: ${error instanceof Error ? error.message : String(error)}`)
        await pause(Math.min(10_000, 500 * 2 ** attempt), closing.signal)
        if (!closing.signal.aborted) await startAgain(attempt + 1)
      }
    }
    const keepRunning = async (): Promise<void> => {
      for (;;) {
        await orAborted(closing.signal, postgres.exited)
        if (closing.signal.aborted) return
        await startAgain()
      }
    }
    const kept = keepRunning()
    const file = databaseUrlFile(config)
    await writeFile(file, `${url}\n`, { mode: 0o600 })
    await chmod(file, 0o600)
    return {
      connectionString: url,
      record: (address) => lock.record({ url: address }),
      close: async () => {
        closing.abort()
        await kept
        await postgres.stop()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

const databaseUrlFile = (config: Config) => join(config.dataDir, 'database-url')

/** Where the embedded Postgres of a running service is reached. */
export const runningDatabaseUrl = async (config: Config): Promise<string> => (await readFile(databaseUrlFile(config), 'utf8')).trim()

const DRAIN_MS = 30_000
const SCRAPE_MS = 2000
const BUILD_MS = 8000

export type Service = { url: string; core: Core; stop: () => Promise<void> }

/** Runs the service until `stop`: which finishes what was accepted, then closes everything in order. */
export const serve = async (config: Config, onProgress: (message: string) => void): Promise<Service> => {
  const logger = makeLogger(config)
  const metrics = new Registry()
  const observe = collectMetrics(metrics)
  const database = await openDatabase(config, onProgress)
  const started: (() => Promise<void>)[] = [database.close]
  const undo = async () => {
    for (const close of started.toReversed()) await close()
  }
  try {
    const core = await whenReachable(config.startWaitMs, onProgress, () => openCore(config, database.connectionString, (message) => logger.warn(message), observe))
    started.push(core.close)
    const { db, runtime, processLog, readModels, writes, connectionString, placeId, earlierPlaces, analystRole, secrets } = core
    if (secrets.signingKey !== undefined) await writeFirstTokens(config, secrets.signingKey, [...firstEmployees.map(({ role, employeeId }) => ({ role, employeeId })), { role: 'system', name: 'first-system' }])

    const [currentKey, ...earlierKeys] = secrets.masterKeys
    const projector = startProjector(
      { connectionString, masterKeys: [base64(currentKey), ...earlierKeys.map(base64)], ...logIn(config), databaseWaitMs: config.databaseWaitMs, placeId, earlierPlaces: [...earlierPlaces], analystRole },
      ({ model, level, message }) => logger[level]({ model }, message),
    )
    started.push(projector.stop)
    const background = new AbortController()
    const following = runtime.organisation.follow(background.signal)
    const processes = runProcesses({
      runtime, log: processLog, connectionString, due: dueByProcess(runtime, readModels), others: { ...signingRoots(core, logger), ...handingOver(core) },
      report: ({ process, message }) => logger.warn({ process }, message),
    }, background.signal)
    started.push(async () => {
      background.abort()
      await Promise.allSettled([following, processes])
    })
    const { statuses } = projector
    watchLag(metrics, async () => ({ head: await within(SCRAPE_MS, () => new EventStoreUnavailable('no answer'), runtime.store.head()), statuses: statuses() }))

    let draining = false
    const app = await makeServer({
      runtime, readModels, db, writes, metrics, logger, version,
      verifyToken: await makeVerifyToken(secrets.tokenKeys, { issuer: config.tokenIssuer, now: runtime.now }),
      projections: statuses,
      answeredElsewhere: () => answeredElsewhere(db, projections),
      draining: () => draining,
    })
    const url = await app.listen({ port: config.port, host: config.host })
    started.push(async () => {
      // Whoever takes longer than this to send or to listen is cut off.
      const impatience = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
      await app.close().finally(() => clearTimeout(impatience))
    })
    await database.record(url)
    await untilBuilt(statuses)
    let stopping: Promise<void> | undefined
    const stop = () => {
      draining = true
      return (stopping ??= undo())
    }
    return { url, core, stop }
  } catch (error) {
    await undo()
    throw error
  }
}

const base64 = (key: Buffer) => key.toString('base64')

/** Where the log is, for who opens it as well. */
const logIn = ({ eventStoreUrl, eventStorePrefix }: Config) => ({ ...(eventStoreUrl === undefined ? {} : { eventStoreUrl }), ...(eventStorePrefix === undefined ? {} : { eventStorePrefix }) })

/** Servers that are started together come up in any order: who is not there yet is waited for, a while. */
const whenReachable = async <T>(waitMs: number, onProgress: (message: string) => void, open: () => Promise<T>): Promise<T> => {
  const until = performance.now() + waitMs
  for (let said = false; ; said = true) {
    try {
      return await open()
    } catch (error) {
      const away = error instanceof EventStoreUnavailable ? 'the event store' : isConnectionError(error) ? 'PostgreSQL' : undefined
      if (away === undefined || performance.now() > until) throw error
      if (!said) onProgress(`Waiting for ${away}: ${error instanceof Error ? error.message : ''}`)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/** A short log is read at once: who is told that the service answers shall find the read models ready. A long one is not waited for. */
const untilBuilt = async (statuses: () => { state: string }[]): Promise<void> => {
  const until = performance.now() + BUILD_MS
  while (performance.now() < until && statuses().some(({ state }) => state === 'starting' || state === 'catching-up')) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** The process that signs roots, unless the configuration wants none. */
const signingRoots = ({ config: { rootEvery }, roots }: Core, logger: Logger): NonNullable<ProcessDependencies['others']> =>
  rootEvery.events === null && rootEvery.ms === null ? {} : { roots: (until) => makeRootSigner(roots).run(rootEvery, (message) => logger.error({ process: 'roots' }, message), until) }

/** The process that moves the customers of handovers. */
const handingOver = ({ runtime, processLog: log, readModels }: Core): NonNullable<ProcessDependencies['others']> =>
  ({ [HANDOVERS]: (until) => runHandovers({ runtime, log, book: makeHandoverBook(readModels) }, until) })

/** Logs carry routes, ids and times; never bodies, headers or whole URLs. */
const makeLogger = (config: Config): Logger => pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { req: () => undefined, res: () => undefined } })

const collectMetrics = (metrics: Registry): NonNullable<Runtime['observe']> => {
  collectDefaultMetrics({ register: metrics })
  const commands = new Histogram({ name: 'kehu_command_seconds', help: 'Time from a command read to its answer', labelNames: ['command', 'status'], buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5], registers: [metrics] })
  return (command, status, seconds) => commands.observe({ command, status }, seconds)
}

const watchLag = (metrics: Registry, ask: () => Promise<{ head: bigint; statuses: { model: string; version: number; state: string; position: bigint }[] }>): void => {
  const lag = new Gauge({
    name: 'kehu_projection_lag', help: 'How far a read model is behind the end of the log: events in Postgres, bytes of log in EventStoreDB', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { head, statuses } = await ask().catch(() => ({ head: 0n, statuses: [] }))
      for (const one of statuses) lag.set({ model: one.model }, Number(head > one.position ? head - one.position : 0n))
    },
  })
  const paused = new Gauge({
    name: 'kehu_projection_paused', help: '1 when an operator has paused a read model', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { statuses } = await ask().catch(() => ({ statuses: [] }))
      for (const one of statuses) paused.set({ model: one.model }, one.state === 'paused' ? 1 : 0)
    },
  })
  const stopped = new Gauge({
    name: 'kehu_projection_stopped', help: '1 when a read model has stopped at an event it cannot project', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { statuses } = await ask().catch(() => ({ statuses: [] }))
      for (const one of statuses) stopped.set({ model: one.model }, one.state === 'stopped' ? 1 : 0)
    },
  })
}
