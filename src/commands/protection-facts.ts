import { z } from 'zod'
import { complainingCustomer, complaint, streamName as complaintStream, type OpenComplaint } from '../domain/complaint/complaint.ts'
import type { Customer } from '../domain/customer/customer.ts'
import { asOne, everyone } from '../domain/customer/group.ts'
import type { PeriodWithFacts } from '../domain/customer/protecting.ts'
import { latest, type Facts } from '../domain/customer/protection.ts'
import { engagement, streamName as engagementStream } from '../domain/engagement/engagement.ts'
import { purchases, streamName as purchasesStream } from '../domain/purchases/purchases.ts'
import type { EventStore, Position } from '../event-store/port.ts'
import type { Placed } from './definition.ts'
import { groupOf, type LoadedGroup } from './group.ts'
import { load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

/** The complaints these customers have had, as the log has them at this moment. Whether one is open, and theirs, its own stream tells. main.ts hands it in. */
export type ComplaintFinder = (customerIds: readonly string[]) => Promise<readonly string[]>

const kind = complaint.kind
const Lodged = z.object({ complainant: z.looseObject({ customerId: z.string().optional() }) })

/** Complaints that came to a customer after a position of the log, lodged or given: what no read model need be waited for. */
export const lodgedSince = async (store: EventStore, after: Position): Promise<{ customerId: string; complaintId: string }[]> => {
  const found: { customerId: string; complaintId: string }[] = []
  for await (const { events } of store.readAll({ after, kinds: [kind], types: ['ComplaintLodged', 'ComplainantCorrected'] })) {
    for (const { stream, data } of events) {
      const { complainant: { customerId } } = Lodged.parse(data)
      if (customerId !== undefined) found.push({ customerId, complaintId: stream.slice(complaintStream('').length) })
    }
  }
  return found
}

const inWholeLog = ({ store }: Runtime): ComplaintFinder => async (customerIds) =>
  (await lodgedSince(store, 0n)).filter(({ customerId }) => customerIds.includes(customerId)).map(({ complaintId }) => complaintId)

/** The complaints that are these customers' at this moment. */
export const complaintsOf = async (runtime: Runtime, customerIds: readonly string[]): Promise<OpenComplaint[]> => {
  const complaintIds = await (runtime.findComplaints ?? inWholeLog(runtime))(customerIds)
  const states = await Promise.all([...new Set(complaintIds)].map((complaintId) => load(runtime, complaint, complaintStream(complaintId))))
  return states.flatMap(({ state }) => (state.status !== 'none' && customerIds.includes(complainingCustomer(state) ?? '') ? [state] : []))
}

/** What the streams beside those of a customer, and of all it has absorbed, say at this moment. */
const factsOf = async (runtime: Runtime, group: LoadedGroup): Promise<Facts> => {
  const ids = everyone(group).map((member) => member.customerId)
  const [engagements, bought, openComplaint] = await Promise.all([
    Promise.all(ids.map((customerId) => load(runtime, engagement, engagementStream(customerId)))),
    Promise.all(ids.map((customerId) => load(runtime, purchases, purchasesStream(customerId)))),
    complaintsOf(runtime, ids).then((all) => all.some(({ status }) => status === 'open')),
  ])
  return {
    followedUpAt: latest(...engagements.map(({ state }) => state.followedUpAt)),
    boughtAt: latest(...bought.flatMap(({ state }) => [...state.purchases.values()].map(({ at }) => at))),
    openComplaint,
  }
}

/** A decision on a period of protection is carried out on the survivor, and rests on what was read after the customer itself. */
export const placeWithFacts = async (runtime: Runtime, body: PeriodWithFacts, loaded: Loaded<Customer>): Promise<Placed<PeriodWithFacts, Customer>> => {
  const group = await groupOf(runtime, body.customerId, loaded)
  return {
    id: group.customerId, answerId: group.customerId, body: { ...body, customerId: group.customerId, facts: await factsOf(runtime, group) }, loaded: group.loaded, decideOn: asOne(group),
    revision: group.state.visibleRevision, ...(group.customerId === body.customerId ? {} : { redirectedFrom: body.customerId }),
  }
}
