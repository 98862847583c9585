import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LoadResult, type LoadPlan } from './http-load.ts'

const root = join(import.meta.dirname, '..')
/** As npm start does: this Node reads TypeScript by itself. */
const runTypeScript: readonly string[] = process.features.typescript ? [] : ['--import', 'tsx']

/** A program in TypeScript, in a process of its own; its first line that matches tells that it is there. */
const start = async (file: string, args: readonly string[], ready: RegExp, env: Record<string, string> = {}): Promise<{ found: string; child: ChildProcess; stop: () => Promise<void> }> => {
  const child = spawn(process.execPath, [...runTypeScript, join(root, file), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  const found = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const [, match] = ready.exec(output) ?? []
      if (match !== undefined) resolve(match)
    })
    child.on('exit', () => reject(new Error(`${file} ended before it was there: ${output}`)))
  })
  return {
    found, child,
    stop: async () => {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

export type Service = { url: string; databaseUrl: string; token: (role: string) => Promise<string>; restart: () => Promise<Service>; stop: () => Promise<void> }

/** Kehu with its own PostgreSQL, as npm start runs it, in a folder of its own. */
export const startService = async (folder?: string): Promise<Service> => {
  const dataDir = folder ?? (await mkdtemp(join(tmpdir(), 'kehu-bench-service-')))
  // Run by root, PostgreSQL is another user's process, who must get there.
  await chmod(dataDir, 0o711)
  const { found: url, stop } = await start('src/cli/kehu.ts', ['serve'], /Kehu 客户 answers at (\S+)/, { KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'warn' })
  return {
    url,
    databaseUrl: (await readFile(join(dataDir, 'database-url'), 'utf8')).trim(),
    token: async (role) => (await readFile(join(dataDir, 'tokens', role), 'utf8')).trim(),
    restart: async () => {
      await stop()
      return startService(dataDir)
    },
    stop: async () => {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Kehu on a PostgreSQL that is there, which outlives it: to be killed. */
export const startServiceOn = async (databaseUrl: string, dataDir: string): Promise<{ url: string; token: (role: string) => Promise<string>; kill: () => Promise<void>; stop: () => Promise<void> }> => {
  const { found: url, child, stop } = await start('src/cli/kehu.ts', ['serve'], /Kehu 客户 answers at (\S+)/, { DATABASE_URL: databaseUrl, KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'error' })
  return {
    url, stop,
    token: async (role) => (await readFile(join(dataDir, 'tokens', role), 'utf8')).trim(),
    kill: async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

/** The bare routes that Kehu's are measured beside, on the same PostgreSQL. */
export const startBareRoute = async (databaseUrl: string): Promise<{ url: string; stop: () => Promise<void> }> => {
  const { found: url, stop } = await start('bench/bare-route.ts', [databaseUrl], /(http:\S+)/)
  return { url, stop }
}

/** Sends requests from a process of its own, by autocannon. */
export const sendAll = async (plan: LoadPlan): Promise<LoadResult> => {
  const folder = await mkdtemp(join(tmpdir(), 'kehu-bench-load-'))
  try {
    const file = join(folder, 'plan.json')
    await writeFile(file, JSON.stringify(plan))
    const { found, child } = await start('bench/http-load.ts', [file], /^(\{.*\})\n/m)
    if (child.exitCode === null) await once(child, 'exit')
    return LoadResult.parse(JSON.parse(found))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Sends lines as batches, one after the other; answers how many lines a second, and how many were refused. */
export const sendBatches = async (url: string, token: string, lines: readonly object[], size = 1000): Promise<{ perSecond: number; refused: string[] }> => {
  const refused: string[] = []
  const started = performance.now()
  for (let from = 0; from < lines.length; from += size) {
    const body = lines.slice(from, from + size).map((line) => `${JSON.stringify(line)}\n`).join('')
    const response = await fetch(`${url}/commands`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' }, body })
    const answers = (await response.text()).split('\n').filter((line) => line !== '')
    if (answers.length !== Math.min(size, lines.length - from)) throw new Error(`${answers.length} answers came for ${size} lines: ${response.status}`)
    for (const answer of answers) if (!/"status":20[01],/.test(answer)) refused.push(answer)
  }
  return { perSecond: (lines.length / (performance.now() - started)) * 1000, refused }
}
