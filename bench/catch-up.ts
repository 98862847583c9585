import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { readConfig } from '../src/config.ts'
import { openCore } from '../src/main.ts'
import { projections } from '../src/projections/all.ts'
import { HEAP } from '../src/projector.ts'
import { fillLog } from './fill.ts'
import { mixInWords } from './mix.ts'
import type { BenchmarkOptions, Figure } from './report.ts'
import { installPeers, openWorld, type World } from './world.ts'

const EVENTS = 1_000_000
const PEER_EVENTS = 4000
const SEED = 1

const Measured = z.object({ events: z.number(), seconds: z.number(), megabytes: z.number() })

/** A process with the memory that the thread of the read models has; young is three times what V8 calls a semi-space. */
const withHeap = [`--max-old-space-size=${HEAP.maxOldGenerationSizeMb}`, `--max-semi-space-size=${HEAP.maxYoungGenerationSizeMb / 3}`]

/** A program's last line, which says what it measured. */
const run = async (file: string, ...args: readonly string[]): Promise<z.infer<typeof Measured> & { perSecond: number }> => {
  const child = spawn(process.execPath, [...(file.endsWith('.ts') ? [...withHeap, '--import', 'tsx'] : []), join(import.meta.dirname, file), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`${file} ${args.slice(2).join(' ')} ended with ${String(code)}`)
  const measured = Measured.parse(JSON.parse(output.trim().split('\n').at(-1) ?? ''))
  return { ...measured, perSecond: measured.events / measured.seconds }
}

/** Each read model built from a whole log: caught up with as at a first start, rebuilt, and by a plain loop. */
export const benchmarkCatchUp = async ({ say, events = EVENTS }: BenchmarkOptions): Promise<Figure[]> => {
  await installPeers(say)
  const world = await openWorld()
  try {
    return await measureOn(world, events, say)
  } finally {
    await world.close()
  }
}

const measureOn = async ({ url, pool, folder }: World, events: number, say: BenchmarkOptions['say']): Promise<Figure[]> => {
  const dataDir = join(folder, 'kehu')
  const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir }), url, say)
  say(`writing ${events.toLocaleString('en')} events: ${mixInWords}`)
  await fillLog({ pool, keyring: core.keyring, events, seed: SEED, onProgress: (written) => written % 200_000 < 2500 && say(`${written.toLocaleString('en')} events written`) })
  await core.close()

  const figures: Figure[] = []
  const add = (name: string, value: number, unit: string, ratios: Record<string, number>) => {
    figures.push({ name, value, unit, ratios })
    say(`${name}: ${Math.round(value).toLocaleString('en')} ${unit}`)
  }
  say(`every figure from one run, each in a process of its own, nothing cached there; emmett's consumer with a projection of one upsert an event over ${PEER_EVENTS} events`)
  const emmett = await run('peers/consume.js', url, String(PEER_EVENTS))
  add('emmett consumer', emmett.perSecond, 'events/s', {})
  add('read log', (await run('catch-up-run.ts', url, dataDir, 'read')).perSecond, 'events/s', {})
  for (const { model } of projections) {
    const plain = await run('catch-up-run.ts', url, dataDir, 'plain-loop', model)
    const kehu = await run('catch-up-run.ts', url, dataDir, 'catch-up', model)
    add(`catch-up ${model}`, kehu.perSecond, 'events/s', { 'plain-loop': kehu.perSecond / plain.perSecond, emmett: kehu.perSecond / emmett.perSecond })
    add(`catch-up ${model} memory`, kehu.megabytes, 'MB', {})
    const rebuilt = await run('catch-up-run.ts', url, dataDir, 'rebuild', model)
    add(`rebuild ${model}`, rebuilt.perSecond, 'events/s', { 'plain-loop': rebuilt.perSecond / plain.perSecond })
  }
  const together = await run('catch-up-run.ts', url, dataDir, 'catch-up')
  add('catch-up together', together.seconds, 's', {})
  add('catch-up together memory', together.megabytes, 'MB', {})
  return figures
}
