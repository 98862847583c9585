import type { Config } from '../config.ts'
import { projectionNamed, projections } from '../projections/all.ts'
import { pauseModel, readPauses, resumeModel } from '../projections/pauses.ts'
import { listCheckpoints } from '../projections/read-models.ts'
import { rebuild } from '../projections/rebuild.ts'
import { pruneVersions } from '../projections/versions.ts'
import { withCore } from './core.ts'
import { progressBar } from './progress.ts'

export const projectionsTable = (config: Config, { json = false }: { json?: boolean }): Promise<void> =>
  withCore(config, async ({ db, runtime }) => {
    const head = await runtime.store.head()
    const paused = await readPauses(db)
    const rows = (await listCheckpoints(db)).map((row) => ({
      model: row.model, version: row.version, build: row.build, position: Number(row.position), lag: Number(head > row.position ? head - row.position : 0n),
      state: paused.has(row.model) ? 'paused' : row.stopped !== null ? 'stopped' : row.ready ? 'ready' : 'building', 'as of': row.time ?? '', stopped: row.stopped ?? '',
    }))
    if (json) for (const row of rows) console.log(JSON.stringify(row))
    else {
      console.log(`The log ends at position ${head}.`)
      console.table(rows)
    }
  })

export const requireProjection = (model: string) => {
  const projection = projectionNamed(model)
  if (!projection) throw new Error(`There is no read model ${model}; there are ${projections.map((one) => one.model).join(', ')}`)
  return projection
}

export const rebuildModel = async (config: Config, model: string): Promise<void> => {
  const projection = requireProjection(model)
  await withCore(config, async ({ db, runtime, placeId, analystRole }) => {
    const bar = progressBar(model)
    const { position } = await rebuild({ db, store: runtime.store, codec: runtime.codec, placeId, analystRole }, projection, bar.update).finally(bar.stop)
    console.log(`${model} version ${projection.version} was built anew up to position ${position} and is in use.`)
  })
}

/** Reaches a running service within a second, and stays until `resume`, also over restarts. */
export const pauseProjection = async (config: Config, model: string): Promise<void> => {
  requireProjection(model)
  await withCore(config, ({ db }) => pauseModel(db, model))
  console.log(`${model} is paused: it stands still in every process, and its queries answer as of where it stands, until kehu projections resume ${model}.`)
}

export const resumeProjection = async (config: Config, model: string): Promise<void> => {
  requireProjection(model)
  await withCore(config, ({ db }) => resumeModel(db, model))
  console.log(`${model} goes on from where it stands.`)
}

export const pruneProjections = (config: Config): Promise<void> =>
  withCore(config, async (core) => {
    const dropped = await pruneVersions(core, projections)
    for (const { model, version } of dropped) console.log(`${model} version ${version} was dropped.`)
    if (dropped.length === 0) console.log('Nothing to drop: every other version is run by a process, or this program’s own is not ready yet.')
  })
