import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { link, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

/** What kept the embedded PostgreSQL or the data folder from being used, and what to do, in one line. */
export class EmbeddedPostgresError extends Error {
  override name = 'EmbeddedPostgresError'
}

type Holder = { id: string; pid: number; start: string; since: string; url?: string }

/** The `code` of a Node or PostgreSQL error, '' for anything else. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** What `pending` resolves to, or undefined when the file it needs does not exist. */
export const unlessMissing = <T>(pending: Promise<T>): Promise<T | undefined> =>
  pending.catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    return undefined
  })

const exists = (pid: number): boolean => {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM' // another user's
  }
}

/**
 * When process `pid` started, in whatever form this system tells it: comparable with an earlier
 * answer, nothing else. Undefined when no such process lives (a zombie does not live); '' when it
 * lives but its start cannot be learned.
 */
export const processStart = async (pid: number): Promise<string | undefined> => {
  if (!exists(pid)) return undefined
  try {
    if (process.platform !== 'linux') {
      const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
      const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', `${pid}`], { env })
      const [state = '', ...start] = stdout.trim().split(/\s+/)
      return state.startsWith('Z') ? undefined : start.join(' ')
    }
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
    ])
    // The second field, the program's name, may itself hold spaces and brackets: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : `${boot.trim()}:${fields[19]}`
  } catch {
    return exists(pid) ? '' : undefined
  }
}

/** The command line process `pid` runs, arguments separated by blanks; undefined when it cannot be learned. */
export const commandOf = async (pid: number): Promise<string | undefined> => {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
    return (await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', `${pid}`])).stdout
  } catch {
    return undefined
  }
}

const isAlive = async (holder: Holder): Promise<boolean> => {
  const start = await processStart(holder.pid)
  return start !== undefined && (start === '' || holder.start === '' || start === holder.start)
}

// Written aside and put in place whole, so that nobody ever reads a half-written lock.
const put = async (file: string, holder: Holder, place: typeof link): Promise<void> => {
  const aside = `${file}.${randomUUID()}.tmp`
  try {
    await writeFile(aside, JSON.stringify(holder), { flag: 'wx', mode: 0o600, flush: true })
    await place(aside, file)
  } finally {
    await rm(aside, { force: true })
  }
}

const read = async (file: string): Promise<Holder | undefined> => {
  const text = await unlessMissing(readFile(file, 'utf8'))
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Holder // only put() writes this file, and always whole
  } catch {
    return { id: 'unreadable', pid: 0, start: '', since: '' } // garbage after a power failure: nobody's
  }
}

/** Makes `file` the lock of `mine` and resolves to undefined, or resolves to the living holder. */
const acquire = async (file: string, mine: Holder): Promise<Holder | undefined> => {
  for (;;) {
    try {
      await put(file, mine, link) // like O_EXCL: fails when the file exists
      return undefined
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const holder = await read(file)
    if (!holder) continue
    if (await isAlive(holder)) return holder
    // The holder is dead. Two processes may both have seen that; the slower one must not remove the
    // lock the faster one has made meanwhile. So removing needs a claim on exactly this dead lock,
    // and a second look under that claim. The claim is a lock too: it survives a kill in its turn.
    const claim = `${file}.${holder.id}`
    if (await acquire(claim, mine)) {
      await sleep(20)
      continue
    }
    if ((await read(file))?.id === holder.id) await unlink(file)
    await unlink(claim)
  }
}

/**
 * Takes an exclusive lock on the data folder (made when missing) for this process. It ends with
 * release() or with the process, however that dies. `record` adds the URL that a second start is
 * told about. Throws an EmbeddedPostgresError that names the first process when one holds the
 * folder, or that says why the folder cannot be written.
 */
export const lockDataDir = async (
  dataDir: string,
): Promise<{ record(details: { url: string }): Promise<void>; release(): Promise<void> }> => {
  const folder = resolve(dataDir)
  const file = join(folder, 'kehu.lock')
  const since = new Date().toISOString().replace(/\.\d+/, '')
  const start = (await processStart(process.pid)) ?? ''
  const mine: Holder = { id: randomUUID(), pid: process.pid, start, since }
  const holder = await mkdir(folder, { recursive: true, mode: 0o700 })
    .then(() => acquire(file, mine))
    .catch((error: unknown) => {
      throw new EmbeddedPostgresError(
        `Kehu cannot lock its data folder ${folder} (${String(error)}). Make the folder writable for this user, or choose another KEHU_DATA_DIR.`,
        { cause: error },
      )
    })
  if (holder) {
    const at = holder.url ? `, at ${holder.url}` : ''
    throw new EmbeddedPostgresError(
      `Kehu already runs on ${folder}: process ${holder.pid}, since ${holder.since}${at}. Stop it first, or choose another KEHU_DATA_DIR.`,
    )
  }
  return {
    record: ({ url }) => put(file, { ...mine, url }, rename),
    release: async () => {
      if ((await read(file))?.id === mine.id) await unlink(file)
    },
  }
}
