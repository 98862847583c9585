import { once } from 'node:events'
import { readConfig } from '../src/config.ts'
import { openCore } from '../src/main.ts'
import { duplicates } from '../src/projections/duplicates/project.ts'
import { runProjection } from '../src/projections/runner.ts'

// The read model of duplicates beside the commands, not in their thread, as the service has it, until it is told to
// end: node duplicates-project-run.ts <url> <data folder>
const [url = '', dataDir = ''] = process.argv.slice(2)
const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir, LOG_LEVEL: 'error' }), url, () => undefined)
const stop = new AbortController()
const runner = runProjection({
  db: core.db, connectionString: core.connectionString, store: core.runtime.store, codec: core.runtime.codec, placeId: core.placeId, analystRole: null,
  report: ({ message }) => process.stderr.write(`${message}\n`),
}, duplicates, stop.signal)
await once(process, 'SIGTERM')
stop.abort()
await runner.done
await core.close()
