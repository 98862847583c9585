import type { Config } from '../config.ts'
import { projections } from '../projections/all.ts'
import { compareWithReplay } from '../projections/rebuild.ts'
import { withCore } from './core.ts'
import { progressBar } from './progress.ts'
import { requireProjection } from './projections.ts'

/** Exit code 1 when a row differs. */
export const compare = async (config: Config, model: string | undefined): Promise<void> => {
  const chosen = model === undefined ? projections : [requireProjection(model)]
  await withCore(config, async ({ db, runtime, placeId, analystRole }) => {
    for (const projection of chosen) {
      const bar = progressBar(projection.model)
      const differences = await compareWithReplay({ db, store: runtime.store, codec: runtime.codec, placeId, analystRole }, projection, bar.update).finally(bar.stop)
      if (differences.length === 0) console.log(`${projection.model}: every column of every row equals a replay.`)
      for (const one of differences) console.log(`${projection.model}.${one.table}: ${one.onlyLive} row(s) only in use, ${one.onlyReplayed} only in the replay; e.g. ${one.examples.join(', ')}`)
      if (differences.length > 0) process.exitCode = 1
    }
  })
}
