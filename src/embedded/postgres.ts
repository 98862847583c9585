import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { codeOf, commandOf, EmbeddedPostgresError, processStart, unlessMissing } from './lock.ts'
import { checkReach, chooseAccount, giveTo, loadBinaries, spawnOptions, type Binaries, type Installation } from './unprivileged.ts'

export { EmbeddedPostgresError, lockDataDir } from './lock.ts'

/** `exited` resolves when the server has gone, stopped or not. */
export type EmbeddedPostgres = { url: string; port: number; pid: number; exited: Promise<void>; stop(): Promise<void> }

type Launched = { child: ChildProcess; port: number; client: Client }

/** Kehu itself connects as `kehu`, who owns the database and may make roles, and nothing else. */
const SUPERUSER = 'postgres'

// In a `C` locale pg_trgm takes Chinese characters for punctuation and indexes nothing of them.
const locales = ['C.UTF-8', 'C.utf8', 'en_US.UTF-8', 'en_US.utf8', 'zh_CN.UTF-8', 'en-US']

const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=200',
  'shared_buffers=256MB',
  'fsync=on',
  'synchronous_commit=on',
  'timezone=UTC',
  'log_timezone=UTC',
  'log_destination=stderr',
  'logging_collector=off',
  'lc_messages=C', // passingFailure reads the log
  'log_min_error_statement=panic', // statements can hold personal values
]
const passingFailure = /Address already in use|could not create any TCP\/IP sockets|pre-existing shared memory block|lock file .* already exists/

const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32') return // which cannot open folders
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}

const readPassword = async ({ dataDir, cluster }: Installation): Promise<string> => {
  const file = join(dataDir, 'postgres-password')
  const known = (await unlessMissing(readFile(file, 'utf8')))?.trim()
  if (known) return known
  if (await unlessMissing(stat(cluster))) {
    throw new EmbeddedPostgresError(
      `The password of the database in ${cluster} is missing: put ${file} back from a backup, or move both away to start empty.`,
    )
  }
  const password = randomBytes(24).toString('base64url')
  await writeFile(`${file}.new`, password, { mode: 0o600, flush: true })
  await rename(`${file}.new`, file)
  return password
}

const runInitdb = async (installation: Installation, folder: string, locale: string): Promise<void> => {
  const { dataDir, binaries } = installation
  const passwordFile = join(dataDir, 'postgres-password')
  await promisify(execFile)(
    binaries.initdb,
    ['-D', folder, '-U', SUPERUSER, '-E', 'UTF8', `--locale=${locale}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--no-instructions'],
    spawnOptions(installation),
  )
}

const createCluster = async (installation: Installation): Promise<void> => {
  const { dataDir, cluster, account } = installation
  // initdb reads the password as that user, who owns the cluster and so keeps nothing from it anyway.
  if (account) await chown(join(dataDir, 'postgres-password'), account.uid, account.gid)
  const failures: string[] = []
  for (const locale of locales) {
    // A fresh name each time: an initdb that outlived a killed Kehu must not write into ours.
    const fresh = await mkdtemp(`${cluster}.new-`)
    if (account) await chown(fresh, account.uid, account.gid)
    try {
      await runInitdb(installation, fresh, locale)
      await rename(fresh, cluster)
      return await syncFolder(dataDir)
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
      await rm(fresh, { recursive: true, force: true })
      failures.push(said.trim().replaceAll('\n', ' | '))
      if (!/locale|encoding/.test(said)) break
    }
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL cannot create its database in ${cluster}: ${failures.at(-1)}. Put that right, or set DATABASE_URL.`,
  )
}

const removeUnfinished = async ({ dataDir }: Installation): Promise<void> => {
  const unfinished = (await readdir(dataDir)).filter(name => name.startsWith('postgres.new'))
  for (const name of unfinished) await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 20 })
}

const signal = async ({ pg_ctl }: Binaries, pid: number, name: 'INT' | 'QUIT'): Promise<void> => {
  // Windows has no signals; PostgreSQL brings its own.
  if (process.platform === 'win32') await promisify(execFile)(pg_ctl, ['kill', name, `${pid}`])
  else process.kill(pid, `SIG${name}`)
}

const stopPostmaster = async (binaries: Binaries, pid: number): Promise<void> => {
  const start = await processStart(pid)
  const gone = async (patience: number): Promise<boolean> => {
    const deadline = Date.now() + patience
    while (start !== undefined && (await processStart(pid)) === start) {
      if (Date.now() > deadline) return false
      await sleep(20)
    }
    return true
  }
  try {
    if (await gone(0)) return
    await signal(binaries, pid, 'INT')
    if (await gone(20_000)) return
    await signal(binaries, pid, 'QUIT')
    if (await gone(20_000)) return
  } catch (error) {
    if (await gone(0)) return
    throw new EmbeddedPostgresError(`PostgreSQL, process ${pid}, cannot be stopped: ${String(error)}. Stop it by hand.`, { cause: error })
  }
  throw new EmbeddedPostgresError(`PostgreSQL, process ${pid}, does not stop. Stop it by hand.`)
}

// The PostgreSQL of a Kehu that was killed lives on: it has to go before another may open its files.
const stopLeftover = async ({ cluster, binaries }: Installation, onProgress: (message: string) => void): Promise<void> => {
  const pidFile = join(cluster, 'postmaster.pid')
  const pid = Number.parseInt((await unlessMissing(readFile(pidFile, 'utf8'))) ?? '', 10)
  const command = pid > 0 ? await commandOf(pid) : undefined
  if (command === undefined) return // no such process: PostgreSQL clears the file away by itself
  if (command.includes(` -D ${cluster} `)) {
    onProgress(`Stopping the PostgreSQL left behind by an earlier run (process ${pid})`)
    await stopPostmaster(binaries, pid)
  } else {
    await rm(pidFile, { force: true }) // some other program has this pid now, which would stop PostgreSQL from starting
  }
}

const findPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : findPort()
}

const connect = async (port: number, password: string): Promise<Client> => {
  const client = new Client({
    host: '127.0.0.1', port, user: SUPERUSER, password, database: 'postgres', ssl: false, connectionTimeoutMillis: 5_000,
  })
  client.on('error', () => undefined) // whoever waits on the connection hears of it; unheard it would end the process
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}

const pidOf = (child: ChildProcess): number => child.pid ?? 0 // never 0: it was spawned

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

// 57P03: still starting, perhaps recovering for long. 28...: a wrong password, or for an instant somebody else's server.
const patienceWith = (code: string): number =>
  code === '57P03' ? Infinity : code.startsWith('28') ? 2_000 : 60_000

/** Starts the server once; resolves to what it wrote to its log when it exited instead of coming up. */
const launch = async (installation: Installation, password: string, port: number): Promise<Launched | string> => {
  const { dataDir, cluster, binaries } = installation
  const log = await open(join(dataDir, 'postgres.log'), 'a+', 0o600)
  try {
    const { size } = await log.stat()
    const child = spawn(
      binaries.postgres,
      ['-D', cluster, ...[...settings, `port=${port}`].flatMap(setting => ['-c', setting])],
      // A session of its own: Ctrl-C in the terminal is for Kehu, which then stops PostgreSQL in good order.
      { ...spawnOptions(installation), detached: true, stdio: ['ignore', log.fd, log.fd] },
    )
    await once(child, 'spawn')
    const since = Date.now()
    while (!hasExited(child)) {
      try {
        return { child, port, client: await connect(port, password) }
      } catch (error) {
        if (Date.now() - since > patienceWith(codeOf(error))) {
          await stopPostmaster(binaries, pidOf(child))
          throw new EmbeddedPostgresError(`PostgreSQL in ${cluster} runs but lets nobody in: ${String(error)}. Look into ${dataDir}/postgres.log and ${dataDir}/postgres-password.`, { cause: error })
        }
        await sleep(25)
      }
    }
    const { size: end } = await log.stat()
    const { buffer } = await log.read({ buffer: Buffer.alloc(end - size), position: size })
    return buffer.toString()
  } finally {
    await log.close()
  }
}

const launchPatiently = async (installation: Installation, password: string, wanted: number | undefined, onProgress: (message: string) => void): Promise<Launched> => {
  const deadline = Date.now() + 15_000
  for (;;) {
    await stopLeftover(installation, onProgress)
    const launched = await launch(installation, password, wanted ?? (await findPort()))
    if (typeof launched !== 'string') return launched
    if (Date.now() > deadline || !passingFailure.test(launched)) {
      const last = launched.trim().split('\n').slice(-5).join(' | ')
      throw new EmbeddedPostgresError(
        `PostgreSQL in ${installation.cluster} does not start: ${last}. All of it is in ${installation.dataDir}/postgres.log; put that right, or set DATABASE_URL.`,
      )
    }
    await sleep(100)
  }
}

const createDatabase = async (client: Client, { cluster }: Installation, password: string): Promise<void> => {
  const { rowCount } = await client.query("select from pg_database where datname = 'kehu'")
  if (!rowCount) {
    await client.query('begin')
    await client.query('create extension pg_trgm')
    const { rows } = await client.query<{ sees: boolean }>("select cardinality(show_trgm('深圳')) > 0 as sees")
    await client.query('rollback')
    if (!rows[0]?.sees) {
      throw new EmbeddedPostgresError(
        `The locale PostgreSQL found on this system does not know Chinese letters, so names could not be searched. Install the locale C.UTF-8, remove ${cluster} (it is still empty) and start again, or set DATABASE_URL.`,
      )
    }
    // A kill between the two leaves the role: then it is there already.
    const role = await client.query("select from pg_roles where rolname = 'kehu'")
    if (!role.rowCount) await client.query(`create role kehu login createrole password ${client.escapeLiteral(password)}`)
    await client.query('create database kehu owner kehu')
  }
  // The details of an error quote the values at fault: they stay out of the server's log.
  await client.query('alter database kehu set log_error_verbosity = terse')
}

/**
 * Brings up the PostgreSQL that comes with Kehu on the data folder, creating it there the first time, and
 * replacing one that an earlier, killed run left behind. Resolves when the database `kehu` at `url` takes
 * connections. The server outlives this process unless stop() is awaited. Expects the caller to hold
 * lockDataDir(). Throws an EmbeddedPostgresError that says in one line what is in the way.
 */
export const startEmbeddedPostgres = async (options: {
  dataDir: string
  /** The port of a server that died, so that its clients find the new one; a free one unless told. */
  port?: number
  onProgress?: (message: string) => void
}): Promise<EmbeddedPostgres> => {
  const onProgress = options.onProgress ?? (() => undefined)
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
  const dataDir = await realpath(options.dataDir)
  const cluster = join(dataDir, 'postgres')
  const binaries = await loadBinaries()
  const account = await chooseAccount(dataDir)
  const installation = { dataDir, cluster, binaries, account }
  await checkReach(binaries.postgres, dataDir, account)
  await removeUnfinished(installation)
  const password = await readPassword(installation)
  if (!(await unlessMissing(stat(cluster)))) {
    onProgress(`Creating the database in ${cluster}, once`)
    await createCluster(installation)
  }
  if (account) await giveTo(account, cluster)
  onProgress('Starting PostgreSQL')
  const { child, port, client } = await launchPatiently(installation, password, options.port, onProgress)
  const pid = pidOf(child)
  const exited = new Promise<void>(resolve => {
    if (hasExited(child)) resolve()
    else child.once('exit', () => resolve())
  })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= stopPostmaster(binaries, pid))
  try {
    await createDatabase(client, installation, password)
  } catch (error) {
    await stop()
    throw error
  } finally {
    await client.end()
  }
  return { url: `postgres://kehu:${password}@127.0.0.1:${port}/kehu`, port, pid, exited, stop }
}
