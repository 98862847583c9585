import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { promisify } from 'node:util'

/** Where processes are started. */
export const repository = new URL('../..', import.meta.url).pathname

/** A free port below those the system gives to connections: who is killed shall find it free again. */
export const freePort = async (): Promise<number> => {
  const port = 15_000 + Math.floor(Math.random() * 17_000)
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!free) return freePort()
  server.close()
  await once(server, 'close')
  return port
}

/** The processes whose parent this is. */
export const childrenOf = async (parent: number): Promise<number[]> => {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  return stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number)).flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []))
}

/** kill -9. */
export const killNow = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone by itself.
  }
}
