import { generateKeyPairSync } from 'node:crypto'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { makeRootSigner } from '../src/commands/processes/roots.ts'
import { readConfig } from '../src/config.ts'
import { makeRootRanges } from '../src/event-store/root-range.ts'
import { makeRootKey } from '../src/event-store/signed-root.ts'
import { openCore } from '../src/main.ts'
import { fillLog } from './fill.ts'
import { mixInWords } from './mix.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { openWorld } from './world.ts'

const EVENTS = 200_000
const ROUNDS = 3
const SEED = 1

const Measured = z.object({ events: z.number(), seconds: z.number(), cpuSeconds: z.number() })
type Measured = z.infer<typeof Measured>

const run = async (...args: string[]): Promise<Measured> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'verify-run.ts'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`verify-run.ts ended with ${String(code)}`)
  return Measured.parse(JSON.parse(output))
}

/** A whole log verified as `kehu audit verify` does, with a signed root at its end, beside reading the same rows and looking at nothing. */
export const benchmarkVerify = async ({ say, events = EVENTS }: BenchmarkOptions): Promise<Figure[]> => {
  const world = await openWorld()
  try {
    const core = await openCore(readConfig({ KEHU_DATA_DIR: join(world.folder, 'kehu') }), world.url, say)
    say(`writing ${events.toLocaleString('en')} events: ${mixInWords}`)
    await fillLog({ pool: world.pool, keyring: core.keyring, events, seed: SEED })
    const rootKey = makeRootKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const rootsFile = join(world.folder, 'roots.ndjson')
    await makeRootSigner({ runtime: core.runtime, placeId: core.placeId, ranges: makeRootRanges(world.pool), rootKey, rootsFile }).signNow()
    await core.close()
    const verified: Measured[] = []
    const read: Measured[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      read.push(await run(world.url, 'read'))
      verified.push(await run(world.url, 'verify', rootsFile, rootKey.key))
    }
    const rate = (measured: readonly Measured[], of: 'seconds' | 'cpuSeconds') => median(measured.map((one) => one.events / one[of]))
    const [kehu, alone] = [rate(verified, 'seconds'), rate(read, 'seconds')]
    return [
      { name: 'verify', value: kehu, unit: 'events/s', ratios: { 'reading alone': kehu / alone } },
      { name: 'verify by processor time', value: rate(verified, 'cpuSeconds'), unit: 'events/CPU s', ratios: { 'reading alone': rate(verified, 'cpuSeconds') / rate(read, 'cpuSeconds') } },
    ]
  } finally {
    await world.close()
  }
}
