import { sql, type Kysely } from 'kysely'
import { pino, type Logger } from 'pino'
import { Registry } from 'prom-client'
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
import { openDatabase } from './database.ts'
import { dueByProcess } from './due.ts'
import { makeComplaintFinder, makeCountHoldings } from './finders.ts'
import { makeFindAttempts } from './event-store/attempts.ts'
import { fingerprint, type Keyring } from './event-store/keyring.ts'
import { adoptPlace, checkUnplaced } from './event-store/place.ts'
import { EventStoreUnavailable, type Position } from './event-store/port.ts'
import { isConnectionError } from './event-store/postgres/connection.ts'
import { watchWrites, type WriteWatch } from './event-store/writes.ts'
import { makeRootRanges } from './event-store/root-range.ts'
import { makeProcessLog, type ProcessLog } from './event-store/process-log.ts'
import { within } from './event-store/waiting.ts'
import { makeServer } from './http/server.ts'
import { makeVerifyToken } from './http/token.ts'
import { collectMetrics, watchLag } from './metrics.ts'
import { projections } from './projections/all.ts'
import { makeNearMatchFinder } from './projections/duplicates/near-matches.ts'
import { makeHandoverBook } from './projections/handovers/work.ts'
import { makeReadModels, type ReadModels } from './projections/read-models.ts'
import { answeredElsewhere } from './projections/versions.ts'
import type { RunnerStatus } from './projections/runner.ts'
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
    findComplaints: makeComplaintFinder(readModels, store),
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
    let readingOn = true
    const app = await makeServer({
      runtime, readModels, db, writes, metrics, logger, version,
      verifyToken: await makeVerifyToken(secrets.tokenKeys, { issuer: config.tokenIssuer, now: runtime.now }),
      projections: statuses,
      answeredElsewhere: () => answeredElsewhere(db, projections),
      draining: () => draining,
      readingOn: () => readingOn,
    })
    const url = await app.listen({ port: config.port, host: config.host })
    started.push(async () => {
      // Whoever takes longer than this to send or to listen is cut off.
      const impatience = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
      await app.close().finally(() => clearTimeout(impatience))
    })
    await database.record(url)
    await untilBuilt(statuses, await runtime.store.head().catch(() => 0n))
    readingOn = false
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

/**
 * What a short log lacks in the read models is read at once, by this process or, after one that was killed, as soon as the
 * lead is free: who is told that the service is ready shall find what was acknowledged before. A long one is not waited for.
 */
const untilBuilt = async (statuses: () => RunnerStatus[], head: Position): Promise<void> => {
  const until = performance.now() + BUILD_MS
  const isBehind = ({ state, position }: RunnerStatus): boolean => state === 'starting' || state === 'catching-up' || (state === 'standby' && position < head)
  while (performance.now() < until && statuses().some(isBehind)) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** The process that signs roots, unless the configuration wants none. */
const signingRoots = ({ config: { rootEvery }, roots }: Core, logger: Logger): NonNullable<ProcessDependencies['others']> =>
  rootEvery.events === null && rootEvery.ms === null ? {} : { roots: (until) => makeRootSigner(roots).run(rootEvery, (message) => logger.error({ process: 'roots' }, message), until) }

/** The process that moves the customers of handovers. */
const handingOver = ({ runtime, processLog: log, readModels }: Core): NonNullable<ProcessDependencies['others']> =>
  ({ [HANDOVERS]: (until) => runHandovers({ runtime, log, book: makeHandoverBook(readModels) }, until) })

/** Logs carry routes, ids and times; never bodies, headers or whole URLs. */
const makeLogger = (config: Config): Logger => pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { req: () => undefined, res: () => undefined } })
