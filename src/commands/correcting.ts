import { z } from 'zod'
import type { Correction } from '../domain/customer/correction.ts'
import type { Customer } from '../domain/customer/customer.ts'
import { events } from '../domain/customer/events.ts'
import type { Placed } from './definition.ts'
import type { Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

const Corrects = z.object(events.OwnershipCorrected.shape).pick({ correctsRevision: true })

/**
 * A correction names an event by its id, which states do not keep: the stream itself tells its revision, and by which
 * event it has been corrected. It is carried out in the record it names, absorbed or not: there the event is.
 */
export const placeCorrection = async (runtime: Runtime, body: Correction, loaded: Loaded<Customer>): Promise<Placed<Correction, Customer>> => {
  const { customerId } = body
  let revisionNamed: number | undefined
  const corrections = new Map<number, { id: string; revision: number }>()
  for await (const { id, revision, type, data } of runtime.store.readStream(loaded.stream)) {
    if (id === body.corrects) revisionNamed = revision
    if (type === 'OwnershipCorrected') corrections.set(Corrects.parse(data).correctsRevision, { id, revision })
  }
  const lastOf = (revision: number): string | null => {
    const next = corrections.get(revision)
    return next === undefined ? null : (lastOf(next.revision) ?? next.id)
  }
  const named = revisionNamed === undefined ? null : { revision: revisionNamed, correctedBy: lastOf(revisionNamed) }
  return { id: customerId, answerId: customerId, body: { ...body, named }, loaded, decideOn: loaded.state, revision: loaded.state.visibleRevision }
}
