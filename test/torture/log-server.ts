import { exec, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { runTypeScript } from '../support/node.ts'
import { freePort, killNow, repository } from './processes.ts'

/** The server that keeps the log, where that is not Postgres. */
export type LogServer = {
  /** By which a service finds it. */
  environment: { EVENTSTORE_URL: string; EVENTSTORE_PREFIX?: string }
  /** Who dies without having been killed is a fault. */
  faults: string[]
  /** kill -9, at once; then started again, with its data, where it was. Undefined for a server that is not ours to kill. */
  restart: (() => Promise<void>) | undefined
  /** Has one of the test host's faults happen; false when it was not up just then. Undefined for a real server. */
  tell: ((fault: string) => Promise<boolean>) | undefined
  close: () => Promise<void>
}

/** A real server, on which this run has a prefix of its own. It is restarted by a command, if at all. */
export const realServer = (url: string, restartCommand: string | undefined): LogServer => ({
  environment: { EVENTSTORE_URL: url, EVENTSTORE_PREFIX: `torture${randomBytes(4).toString('hex')}` },
  faults: [],
  restart: restartCommand === undefined ? undefined : async () => {
    await promisify(exec)(restartCommand)
  },
  tell: undefined,
  close: () => Promise.resolve(),
})

type Life = { child: ChildProcess; exited: Promise<unknown>; expected: boolean; answers: ((answer: string) => void)[] }

/** The test host as a process of its own, its log in a file: killed and started again it has everything it acknowledged. */
export const startHostProcess = async (dataDir: string): Promise<LogServer> => {
  const port = await freePort()
  const url = `esdb://127.0.0.1:${port}?tls=false`
  const said = join(dataDir, 'eventstoredb-host.log')
  const faults: string[] = []
  let life: Life | undefined

  const start = async (): Promise<void> => {
    const log = await open(said, 'a')
    const child = spawn(process.execPath, [...runTypeScript, 'test/eventstoredb-host/main.ts', '--port', String(port), '--file', join(dataDir, 'eventstoredb.log')], { cwd: repository, stdio: ['pipe', 'pipe', log.fd] })
    await log.close()
    // Written to while it dies: it is known to be dead soon enough.
    child.stdin?.on('error', () => undefined)
    const own: Life = { child, exited: once(child, 'exit'), expected: false, answers: [] }
    void own.exited.then(async () => {
      if (life === own) life = undefined
      for (const answer of own.answers.splice(0)) answer('gone')
      if (!own.expected) faults.push(`the host of the log ended by itself: ${(await readFile(said, 'utf8')).split('\n').slice(-8).join(' | ')}`)
    })
    const ready = new Promise<string>((resolve) => own.answers.push(resolve))
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => own.answers.shift()?.(line))
    if (!(await ready).includes(url)) throw new Error(`the host of the log does not start: ${await readFile(said, 'utf8')}`)
    life = own
  }

  const kill = async (): Promise<void> => {
    const dying = life
    if (!dying) return
    dying.expected = true
    if (dying.child.pid !== undefined) killNow(dying.child.pid)
    await dying.exited
  }

  await start()
  return {
    environment: { EVENTSTORE_URL: url },
    faults,
    restart: async () => {
      await kill()
      await start()
    },
    tell: async (fault) => {
      const told = life
      if (!told) return false
      const answer = new Promise<string>((resolve) => told.answers.push(resolve))
      told.child.stdin?.write(`${fault}\n`)
      const given = await answer
      if (given.startsWith('error')) throw new Error(`the host does not know ${fault}: ${given}`)
      return given.startsWith('ok')
    },
    close: kill,
  }
}
