import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

export type Step = { commands: string; shown: string | undefined }

/** The tour of the README: each block of commands, and the output shown below it, if any. */
export const readTour = async (): Promise<Step[]> => {
  const readme = await readFile('README.md', 'utf8')
  const tour = readme.slice(readme.indexOf('## A tour'), readme.indexOf('## Where to read on'))
  return [...tour.matchAll(/```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?/gs)].map(([, commands = '', shown]) => ({ commands, shown }))
}

/** Runs the blocks in one shell session and answers what each printed. Between them, as a person would, it lets the read models catch up. */
export const runTour = async (steps: readonly Step[], environment: Record<string, string>, options: { url: string; tokens: string }): Promise<string[]> => {
  const adapt = (commands: string) => commands.replaceAll('http://127.0.0.1:8080', options.url).replaceAll('.kehu/tokens', options.tokens)
  const catchUp = `while curl -s ${options.url}/projections -H "Authorization: Bearer $(cat ${options.tokens}/admin)" | grep -q '"lag":[1-9]'; do sleep 0.05; done`
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
