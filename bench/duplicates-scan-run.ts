import { readConfig } from '../src/config.ts'
import { runScan } from '../src/cli/duplicates/scan.ts'
import { openCore } from '../src/main.ts'

// One scan in a process of its own, as `kehu duplicates scan` runs it: node duplicates-scan-run.ts <url> <data folder>
// Prints one line of JSON: { compared, opened, seconds, megabytes }, the last being the most memory the process had.
const [url = '', dataDir = ''] = process.argv.slice(2)
const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir, LOG_LEVEL: 'error' }), url, () => undefined)
const started = performance.now()
const { compared, opened } = await runScan(core)
const seconds = (performance.now() - started) / 1000
process.stdout.write(`${JSON.stringify({ compared, opened, seconds, megabytes: process.resourceUsage().maxRSS / 1024 })}\n`)
await core.close()
