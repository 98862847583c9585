import { expect } from 'vitest'
import { z } from 'zod'
import { accepted, problemOf, type Answer, type Place, type Sender, until } from '../support/http.ts'

let mobiles = 0
/** A mobile number nobody in this test file has had before. */
export const nextMobile = (): string => `+86138${String((mobiles += 1)).padStart(8, '0')}`

/** A would-be customer that is accepted as it is. */
export const individual = (more: object = {}) => ({ category: 'individual-retail', name: '王小明', identifiers: [{ kind: 'mobile', value: nextMobile() }], fields: { source: 'referral' }, contacts: [], ...more })

/** Enters a customer and answers what was accepted. */
export const enter = async (sender: Sender, more: object = {}, onBehalfOf?: string) => accepted(await sender.send('create-customer', individual(more), onBehalfOf === undefined ? {} : { onBehalfOf }))

export const refused = (answer: Answer, status: number, name: string) => {
  expect({ status: answer.status, name: problemOf(answer).name }, answer.text).toEqual({ status, name })
  return problemOf(answer)
}

/** Departments and employees, registered by the administrator: `{ north: null, 'north-1': 'north' }`, `{ wang: 'north' }`. */
export const organise = async (place: Place, departments: Record<string, string | null>, employees: Record<string, string> = {}): Promise<void> => {
  const lines = [
    ...Object.entries(departments).map(([departmentId, parentId]) => ({ command: 'register-department', key: `department ${departmentId}`, body: { departmentId, name: departmentId, parentId } })),
  ]
  const admin = place.as('admin')
  // A department must be there before its children: one by one.
  for (const line of lines) accepted(await admin.send(line.command, line.body, { key: line.key }))
  const answers = await admin.batch(Object.entries(employees).map(([employeeId, departmentId]) => ({ command: 'register-employee', key: `employee ${employeeId}`, body: { employeeId, name: `员工 ${employeeId}`, departmentId } })))
  expect(answers.map((answer) => answer.status)).toEqual(Object.keys(employees).map(() => 201))
}

const Items = z.object({ items: z.array(z.looseObject({ customerId: z.string().default(''), name: z.string().nullable().default(null), full: z.boolean().default(true) })) })
/** The items of a list. */
export const itemsOf = (answer: Answer) => Items.parse(answer.json).items
export const idsOf = (answer: Answer): string[] => itemsOf(answer).map((item) => item.customerId)

const Detail = z.looseObject({
  revision: z.number(), name: z.string().nullable(), ownerId: z.string().nullable(), category: z.string(), stage: z.string().nullable(), tier: z.string().nullable(), fields: z.record(z.string(), z.unknown()),
  identifiers: z.array(z.object({ kind: z.string(), value: z.string().nullable() })),
  contacts: z.array(z.object({ contactId: z.string(), name: z.string().nullable(), fields: z.record(z.string(), z.unknown()) })),
  shares: z.array(z.unknown()),
})
/** A customer as the sender sees it, at least as late as the position given. */
/** A customer as of a position; without one, as soon as it is there. */
export const read = async (sender: Sender, customerId: string, position?: string) => {
  let answer = await sender.get(`/customers/${customerId}${position === undefined ? '' : `?after=${position}`}`)
  if (position === undefined) await until(async () => answer.status !== 404 || (answer = await sender.get(`/customers/${customerId}`)).status !== 404)
  return Detail.parse(answer.json)
}

const Periods = z.object({ periods: z.array(z.looseObject({ ownerId: z.string().nullable(), from: z.string(), to: z.string().nullable(), basis: z.string(), actor: z.string(), reason: z.string().nullable() })) })
export const periodsOf = (answer: Answer) => Periods.parse(answer.json).periods
