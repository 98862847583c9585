import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

export type Step = { commands: string; shown: string | undefined }

/** The steps of a page: each block of commands, and the output shown below it, if any. */
export const readTour = async (file: string): Promise<Step[]> => {
  const page = await readFile(file, 'utf8')
  const tour = page.slice(Math.max(0, page.indexOf('## A tour')), page.includes('## Where to read on') ? page.indexOf('## Where to read on') : undefined)
  return [...tour.matchAll(/```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?/gs)].map(([, commands = '', shown]) => ({ commands, shown }))
}

/** Runs the blocks in one shell session and answers what each printed. Between them, as a person would, it lets the read models catch up. */
export const runTour = async (steps: readonly Step[], environment: Record<string, string>, options: { url: string; tokens: string }): Promise<string[]> => {
  const adapt = (commands: string) => commands.replaceAll('http://127.0.0.1:8080', options.url).replaceAll('.kehu/tokens', options.tokens)
  // Quiet: the log has not grown between two looks, and every read model has read it.
  const look = `curl -s ${options.url}/projections -H "Authorization: Bearer $(cat ${options.tokens}/admin)"`
  const catchUp = `until a=$(${look}); sleep 0.3; b=$(${look}); [ "$a" = "$b" ] && ! echo "$b" | grep -q '"lag":[1-9]'; do :; done`
  const script = steps.map((step) => `${catchUp}\n${adapt(step.commands)}\necho '=== end of step ==='`).join('\n')
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { env: { ...process.env, ...environment }, maxBuffer: 10_000_000 })
  return stdout.split('=== end of step ===\n')
}

/** What differs from run to run: ids, times, hashes, positions, and what is sealed under random nonces. */
export const settled = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.\d+)?/g, '<id>')
    .replace(/\d{4}-\d{2}-\d{2}T[\d:.]+Z/g, '<time>')
    .replace(/[0-9a-f]{64}/g, '<hash>')
