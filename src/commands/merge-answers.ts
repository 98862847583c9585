import { z } from 'zod'
import type { Answer } from './handle.ts'
import { derivedId } from './keyed-hash.ts'
import { mergeReversedBy } from './merge-steps.ts'
import { settleMerge, settleReversal } from './merging.ts'
import { positionToken } from './position.ts'
import { problem } from './problem.ts'
import type { Runtime } from './runtime.ts'

const Accepted = z.looseObject({ commandId: z.string(), customerId: z.string(), position: z.string().optional(), events: z.array(z.looseObject({ type: z.string() })) })

/** Takes a merge that was started to its end before it is answered: it came about, or another came first. */
export const answerMerge = async (runtime: Runtime, answer: Answer): Promise<Answer> => {
  const { commandId, customerId, events } = Accepted.parse(answer.body)
  if (events.length === 0) return answer
  const mergeId = derivedId(commandId, 'merge')
  const settled = await settleMerge(runtime, customerId, mergeId)
  if (!settled) return answer
  const { outcome, absorbedId, position, revision } = settled
  if (outcome === 'merged') return { ...answer, body: { ...answer.body, mergeId, absorbedId, revision, position: positionToken(runtime, position) } }
  const body = problem('merge-abandoned', 'One of the two was merged with another customer at the same moment.', { extensions: { mergeId, commandId } })
  return { status: body.status, body, commandId: answer.commandId }
}

/** Takes a reversal to its end before it is answered. */
export const answerReversal = async (runtime: Runtime, answer: Answer): Promise<Answer> => {
  const { commandId, customerId, events } = Accepted.parse(answer.body)
  const mergeId = events.length === 0 ? undefined : await mergeReversedBy(runtime, customerId, commandId)
  if (mergeId === undefined) return answer
  const settled = await settleReversal(runtime, customerId, mergeId)
  return settled === undefined ? answer : { ...answer, body: { ...answer.body, mergeId, revision: settled.revision, position: positionToken(runtime, settled.position) } }
}
