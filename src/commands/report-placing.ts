import { z } from 'zod'
import { customer, ownerOf } from '../domain/customer/customer.ts'
import { streamName as customerStream } from '../domain/customer/events.ts'
import { earlierOf } from '../domain/customer/group.ts'
import type { ReportedRecord, UpheldReport } from '../domain/record-report/judging.ts'
import { recordReport, reportIdOf, streamName, type RecordReport } from '../domain/record-report/record-report.ts'
import type { RefusedAttempt } from '../event-store/port.ts'
import type { Placed } from './definition.ts'
import { firstEntryOf, groupOf } from './group.ts'
import { load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

/** Refused attempts by their ids; those there are. main.ts hands it in. */
export type FindAttempts = (attemptIds: readonly string[]) => Promise<RefusedAttempt[]>

/** What an attempt may have run into: the holder of an identifier, or those it was much like. */
const RanInto = z.looseObject({
  holder: z.looseObject({ customerId: z.string(), absorbedId: z.string().optional() }).optional(),
  candidates: z.array(z.looseObject({ customerId: z.string() })).optional(),
})

const concerns = ({ stream, ranInto }: RefusedAttempt, customerIds: readonly string[]): boolean => {
  const { holder, candidates = [] } = RanInto.safeParse(ranInto).data ?? {}
  const met = [stream, ...[holder?.customerId, holder?.absorbedId, ...candidates.map(({ customerId }) => customerId)].map((id) => id && customerStream(id))]
  return customerIds.some((customerId) => met.includes(customerStream(customerId)))
}

/** The attempts cited, each in its place; undefined where there is none of that id, or it concerns somebody else. */
const citedBy = async ({ findAttempts }: Runtime, attemptIds: readonly string[], customerIds: readonly string[]): Promise<ReportedRecord['attempts']> => {
  if (attemptIds.length === 0) return []
  const found = new Map((await findAttempts?.(attemptIds) ?? []).map((attempt) => [attempt.attemptId, attempt]))
  return attemptIds.map((attemptId) => {
    const attempt = found.get(attemptId)
    return attempt && concerns(attempt, customerIds) ? { attemptId, at: attempt.at, actor: attempt.actor, onBehalfOf: attempt.onBehalfOf, problem: attempt.problem } : undefined
  })
}

/** Of two customers the one entered first in the log and the later one, each as it was entered; undefined where one does not exist. */
const inOrderOfEntry = async (runtime: Runtime, ids: readonly [string, string]): Promise<{ earlier: string; later: string } | undefined> => {
  const [one, other] = await Promise.all(ids.map(async (customerId) => ({ customerId, ...(await load(runtime, customer, customerStream(customerId))), members: [] })))
  if (!one || !other || one.state.status === 'none' || other.state.status === 'none') return undefined
  const earlier = earlierOf(await firstEntryOf(runtime, one), await firstEntryOf(runtime, other)).customerId
  return { earlier, later: earlier === one.customerId ? other.customerId : one.customerId }
}

/**
 * Of duplicates the later entry is the one reported, whichever was named first. Otherwise a record that is part of another by
 * now is reported as that. Attempts are looked up.
 */
export const placeReport = async (runtime: Runtime, body: ReportedRecord, loaded: Loaded<RecordReport>): Promise<Placed<ReportedRecord, RecordReport>> => {
  const { customerId, duplicateOf, attemptIds } = body
  const at = async (more: Partial<ReportedRecord>, concerned: readonly string[]): Promise<Placed<ReportedRecord, RecordReport>> => {
    const placed = { ...body, ...more, attempts: await citedBy(runtime, attemptIds, concerned) }
    const id = reportIdOf(placed)
    const there = streamName(id) === loaded.stream ? loaded : await load(runtime, recordReport, streamName(id))
    return { id, answerId: id, body: placed, loaded: there, decideOn: there.state, revision: there.head.revision }
  }
  if (duplicateOf !== undefined) {
    const order = await inOrderOfEntry(runtime, [customerId, duplicateOf])
    return at(order ? { customerId: order.later, duplicateOf: order.earlier } : {}, [customerId, duplicateOf])
  }
  const group = await groupOf(runtime, customerId)
  return at(group.customerId === customerId ? {} : { customerId: group.customerId, mergedFrom: customerId }, [customerId, group.customerId])
}

/** Where ownership is asked for: who stands for the earlier entry by now, and who owns that. */
export const placeUphold = async (runtime: Runtime, body: UpheldReport, loaded: Loaded<RecordReport>): Promise<Placed<UpheldReport, RecordReport> | undefined> => {
  const { state } = loaded
  if (!body.moveOwnership || state.status === 'none' || state.duplicateOf === null) return undefined
  const group = await groupOf(runtime, state.duplicateOf)
  return { id: body.reportId, answerId: body.reportId, body: { ...body, earlier: { customerId: group.customerId, ownerId: ownerOf(group.state) } }, loaded, decideOn: state, revision: loaded.head.revision }
}
