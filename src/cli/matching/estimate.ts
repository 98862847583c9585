import type { Caller } from '../../domain/decider.ts'
import { estimate, SAMPLES } from '../../domain/matching/estimate.ts'
import type { Features } from '../../domain/matching/features.ts'
import { makeReservoir } from '../../domain/matching/sample.ts'
import type { Weights } from '../../domain/matching/weights.ts'
import { handleNamed } from '../../commands/send.ts'
import type { Core } from '../../main.ts'
import { readCheckpoint } from '../../projections/checkpoint.ts'
import { allFeatures } from '../../projections/duplicates/features.ts'
import { duplicates } from '../../projections/duplicates/project.ts'
import { schemaOf } from '../../projections/projection.ts'

const caller: Caller = { actor: 'matching-estimate', role: 'admin', employeeId: null, onBehalfOf: null }

export type Estimated = { records: number; before: { version: number; value: Weights }; after: Weights }

/** The matcher's weights as the customers there are would have them; nothing is changed yet. Of more customers than it takes, a sample. */
export const estimateWeights = async ({ db, runtime }: Pick<Core, 'db' | 'runtime'>, onProgress?: (done: number, all: number) => void): Promise<Estimated> => {
  if (!(await readCheckpoint(db, duplicates))?.ready) throw new Error('The read model duplicates has not been built yet: start the service, and wait until kehu projections calls it ready.')
  const sample = makeReservoir<Features>(SAMPLES.records * 2)
  let records = 0
  for await (const { features, done, all } of allFeatures(db, schemaOf(duplicates))) {
    for (const one of features) sample.add(one)
    records = done
    onProgress?.(done, all)
  }
  const before = runtime.organisation.current().policies.matching
  return { records, before, after: estimate(sample.items(), before.value) }
}

/** Puts estimated weights in force, as the next version of the policy. Answers it; undefined where nothing changed. */
export const reviseWeights = async ({ runtime }: Pick<Core, 'runtime'>, { records, before, after }: Estimated): Promise<number | undefined> => {
  const reason = `Estimated from ${records.toLocaleString('en')} customers, against version ${before.version}`
  const [command, body] = before.version === 0 ? ['define-policy', { policy: 'matching', value: after }] as const : ['revise-policy', { policy: 'matching', value: after, reason }] as const
  const answer = await handleNamed(runtime, command, body, { caller })
  if (answer.status >= 400) throw new Error(`The estimated weights were refused: ${JSON.stringify(answer.body)}`)
  await runtime.organisation.refresh()
  const { version } = runtime.organisation.current().policies.matching
  return version === before.version ? undefined : version
}
