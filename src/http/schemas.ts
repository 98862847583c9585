import { z } from 'zod'
import { StoredFieldValue } from '../domain/category/template.ts'

/** The answers, as OpenAPI shows them and as every end-to-end test checks them. */
export const ProblemBody = z.looseObject({
  type: z.string().describe('A stable name; GET on it explains the problem'),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional().describe('Every bad field, at once'),
}).meta({ id: 'Problem', description: 'Problem details (RFC 9457)' })

export const problemResponses = (...statuses: (400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 429 | 503)[]) =>
  Object.fromEntries(statuses.map((status) => [status, { description: 'Problem', content: { 'application/problem+json': { schema: ProblemBody } } }]))

export const AcceptedBody = z.looseObject({
  commandId: z.string(),
  streamId: z.string(),
  revision: z.number().int(),
  position: z.string().optional().describe('Send it as ?after= to read what this command wrote; absent for a dry run'),
  dryRun: z.boolean().optional(),
  events: z.array(z.object({ id: z.string().optional(), type: z.string(), revision: z.number().int() })),
  warnings: z.array(z.looseObject({})),
}).meta({ id: 'Accepted', description: 'The command was accepted, or had nothing to do (no events). Holds the id of what it concerns, e.g. customerId.' })

export const ReceiptBody = z.object({
  commandId: z.string(), command: z.string(), status: z.number().int(), recordedAt: z.string(), streams: z.array(z.string()),
  answer: z.looseObject({}).describe('The answer as it was given'),
}).meta({ id: 'Receipt' })

export const AsOfBody = z.object({ position: z.string(), time: z.string().nullable() }).meta({ id: 'AsOf', description: 'The position and time of the log this answer is as of' })

const Fields = z.record(z.string(), StoredFieldValue)
const summary = {
  customerId: z.string(),
  full: z.boolean().describe('false: masked; only what a colleague outside may know is filled in'),
  name: z.string().nullable(),
  category: z.string(),
  ownerId: z.string().nullable().describe('null: in the public pool 公海'),
  ownerSince: z.string(),
  lastOwnerId: z.string().nullable().describe('The owner; in the pool who held it last'),
  departmentId: z.string().nullable(),
  stage: z.string().nullable(),
  tier: z.string().nullable(),
  enteredAt: z.string().nullable(),
  fields: Fields,
  revision: z.number().int(),
}
export const CustomerSummaryBody = z.object({
  ...summary,
  missing: z.array(z.object({ path: z.string(), message: z.string() })).optional().describe('What the record lacks; only when incomplete=true is asked'),
}).meta({ id: 'CustomerSummary' })
export const CustomerBody = z.object({
  ...summary,
  absorbed: z.array(z.string()).describe('Customers that are part of it since they were merged 合并'),
  mergedInto: z.string().nullable().describe('The customer that stands for it; only with redirect=false'),
  enteredBy: z.string().nullable(),
  changedAt: z.string().nullable(),
  identifiers: z.array(z.object({ kind: z.string(), issuer: z.string().optional().describe('Of an other one: who issued it'), value: z.string().nullable().describe('In its normal form') })),
  contacts: z.array(z.object({ contactId: z.string(), name: z.string().nullable(), fields: Fields })),
  shares: z.array(z.object({ with: z.object({ kind: z.string(), id: z.string() }), access: z.string(), until: z.string().nullable().describe('When it ends by itself') })),
  asOf: AsOfBody,
}).meta({ id: 'Customer' })

export const PeriodBody = z.object({
  ownerId: z.string().nullable(), from: z.string(), to: z.string().nullable(), basis: z.string(), actor: z.string(), onBehalfOf: z.string().nullable(), reason: z.string().nullable(),
  policyVersion: z.number().int().nullable(), recordedAt: z.string(), revision: z.number().int(),
  customerId: z.string().describe('Whose record it is in: the customer’s own, or of one it has absorbed'),
}).meta({ id: 'OwnershipPeriod' })

export const MovedBody = z.object({ customerId: z.string(), mergedInto: z.string() }).meta({ id: 'MergedCustomer', description: 'The customer is part of another; Location leads there' })

/** An answer that is also given as an export: Accept says which. */
export const exported = <Body extends z.ZodType>(body: Body) => ({
  description: 'A page; or, as text/csv or application/x-ndjson, all pages',
  content: { 'application/json': { schema: body }, 'text/csv': { schema: z.string() }, 'application/x-ndjson': { schema: z.string() } },
})

export const list = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), asOf: AsOfBody })
