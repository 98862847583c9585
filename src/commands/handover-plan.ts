import { recipientsOf, type Recipients, type Rule } from '../domain/handover/recipients.ts'
import { spread, type Handed, type Taker } from '../domain/handover/spread.ts'
import type { Selection } from '../domain/handover/handover.ts'
import type { Organisation } from '../domain/organisation/organisation.ts'
import type { JsonObject } from '../event-store/port.ts'
import type { HandoverBook } from './handover-book.ts'
import type { Runtime } from './runtime.ts'

/** Who takes over in the end: a successor who has departed passes it on by the rule of their own departure. */
export type Plan = Exclude<Recipients, { to: 'departed' }>

/**
 * The plan of a rule, as the organisation is now. Rules that lead in a ring lead to the pool. Undefined while the
 * departure of a successor has not been taken up yet: what its rule is, is known in a moment.
 */
export const planOf = async (book: Pick<HandoverBook, 'ruleOfDeparture'>, organisation: Organisation, from: string, rule: Rule): Promise<Plan | undefined> => {
  const seen = new Set([from])
  for (let following: Rule | undefined = rule; following; ) {
    const recipients = recipientsOf(organisation, from, following)
    if (recipients.to !== 'departed') return recipients
    if (seen.has(recipients.employeeId)) return { to: 'nobody' }
    seen.add(recipients.employeeId)
    following = await book.ruleOfDeparture(recipients.employeeId)
  }
  return undefined
}

/** Who takes which of the next customers by a plan; those before count as taken. Null: the pool. */
export type Assign = (customers: readonly Handed[]) => (customerId: string) => string | null

export const makeAssign = async (book: Pick<HandoverBook, 'takers'>, plan: Plan): Promise<Assign> => {
  if (plan.to !== 'spread') return () => () => (plan.to === 'one' ? plan.employeeId : null)
  let takers: readonly Taker[] = await book.takers(plan.employeeIds)
  return (customers) => {
    const spreadOut = spread(plan.by, takers, customers)
    takers = spreadOut.takers
    return (customerId) => spreadOut.to.get(customerId) ?? null
  }
}

const PAGE = 5000

/** How many of whom somebody holds now would go to whom: what a dry run tells. */
export const previewHandover = async ({ handovers: book, organisation, store }: Runtime, from: string, stated: Rule | undefined, only?: Selection): Promise<JsonObject> => {
  const rule = stated ?? organisation.current().policies.ownership.value.handover
  // As late as the log is now: who asks has perhaps just written.
  await book?.open(await store.head())
  const plan = book && (await planOf(book, organisation.current(), from, rule))
  if (!plan) return {}
  const assign = await makeAssign(book, plan)
  const counts = new Map<string | null, number>()
  let held = 0
  for (let after: string | undefined; ; ) {
    const page = await book.held(from, only, { after, limit: PAGE })
    const target = assign(page)
    for (const { customerId } of page) counts.set(target(customerId), (counts.get(target(customerId)) ?? 0) + 1)
    held += page.length
    after = page.at(-1)?.place
    if (page.length < PAGE || after === undefined) break
  }
  const to = [...counts].flatMap(([employeeId, customers]) => (employeeId === null ? [] : [{ employeeId, customers }]))
  return { handover: { from, rule, held, to: to.sort((one, other) => (one.employeeId < other.employeeId ? -1 : 1)), pool: counts.get(null) ?? 0 } }
}
