import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { problems } from '../../src/commands/problem.ts'
import { registry } from '../../src/commands/registry.ts'
import { eventSchemas } from '../../src/domain/events.ts'
import { projections } from '../../src/projections/all.ts'
import { accepted, problemOf, startService, type Sender, type TestService } from '../support/http.ts'
import { operationsOf, schemasOf } from '../support/openapi.ts'
import { enter, refused } from './people.ts'

// The parts of OpenAPI 3.1.0 this document uses, each with the fields it may have and no others.
const Schema = z.record(z.string(), z.unknown())
const MediaType = z.strictObject({ schema: Schema, example: z.unknown().optional(), examples: z.unknown().optional() })
const Content = z.record(z.string().regex(/^[a-z]+\/[a-z0-9.+*-]+$/), MediaType)
const Parameter = z.discriminatedUnion('in', [
  z.strictObject({ in: z.literal('path'), name: z.string(), required: z.literal(true), schema: Schema, description: z.string().optional(), example: z.unknown().optional() }),
  z.strictObject({ in: z.enum(['query', 'header']), name: z.string(), required: z.boolean(), schema: Schema, description: z.string().optional(), example: z.unknown().optional() }),
])
const Operation = z.strictObject({
  operationId: z.string().regex(/^[a-z0-9-]+$/), summary: z.string().min(1), description: z.string().optional(), tags: z.array(z.string()).min(1),
  parameters: z.array(Parameter).optional(), requestBody: z.strictObject({ required: z.boolean().optional(), content: Content }).optional(),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
  responses: z.record(z.string().regex(/^[1-5]\d\d$/), z.strictObject({ description: z.string(), content: Content.optional() })).refine((responses) => Object.keys(responses).length > 0),
})
const Document = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z.array(z.strictObject({ url: z.string() })).optional(),
  tags: z.array(z.strictObject({ name: z.string(), description: z.string().optional() })),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  components: z.strictObject({ schemas: z.record(z.string().regex(/^[\w.-]+$/), Schema), securitySchemes: z.strictObject({ bearer: z.strictObject({ type: z.literal('http'), scheme: z.literal('bearer'), bearerFormat: z.string() }) }) }),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post']), Operation)),
})

describe('what the service says of itself', () => {
  let service: TestService
  let anyone: Sender
  beforeAll(async () => {
    service = await startService()
    anyone = service.with(undefined)
  })
  afterAll(() => service.close())

  it('/openapi.json is a valid OpenAPI 3.1 document: its shape, every reference, every schema, every parameter', async () => {
    const { json, text } = await anyone.get('/openapi.json')
    const document = Document.parse(json)
    const ajv = schemasOf(document)
    const references = new Set([...text.matchAll(/"\$ref":"(#[^"]+)"/g)].map((match) => match[1] ?? ''))
    expect(references.size).toBeGreaterThan(5)
    for (const reference of references) expect(() => ajv.compile({ $ref: `openapi${reference}` })).not.toThrow()
    const dialect = new Ajv2020({ strict: false })
    formats.default(dialect)
    for (const [name, schema] of Object.entries(document.components.schemas)) expect(dialect.validateSchema(schema), name).toBe(true)
    const ids = operationsOf(document).map((operation) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    const tags = new Set(document.tags.map((tag) => tag.name))
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name)
        expect([path, inPath]).toEqual([path, [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1])])
        expect(operation.tags.every((tag) => tags.has(tag))).toBe(true)
        for (const [status, response] of Object.entries(operation.responses)) if (Number(status) >= 400 && operation.operationId !== 'health-ready') expect(Object.keys(response.content ?? {}), `${path} ${status}`).toEqual(['application/problem+json'])
      }
    }
  })

  it('every command of the registry is in it, with its schema, in both languages', async () => {
    const document = Document.parse((await anyone.get('/openapi.json')).json)
    for (const command of registry) {
      const operation = document.paths[`/commands/${command.name}`]?.post
      expect(operation?.summary).toBe(`${command.summary.en} ${command.summary.zh}`)
      expect(Object.keys(operation?.requestBody?.content ?? {})).toEqual(['application/json'])
      expect(operation?.parameters?.map((parameter) => parameter.name).sort()).toEqual(['dryRun', 'idempotency-key', 'if-match', 'on-behalf-of', 'traceparent'])
    }
  })

  it('/docs opens, and so does everything the page asks for', async () => {
    const page = await anyone.get('/docs')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => new URL(match[1] ?? '', `${service.url}/docs`))
    expect(parts.length).toBeGreaterThan(3)
    for (const part of parts) expect([part.pathname, part.origin, (await anyone.get(part.pathname)).status]).toEqual([part.pathname, service.url, 200])
    // What the browser is told to refuse must not be what the page is made of.
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(page.text).not.toMatch(/<script>[^<]/)
    expect((await anyone.get('/docs/json')).json).toEqual((await anyone.get('/openapi.json')).json)
  })

  it('/schemas/events holds a JSON Schema for each event type, and the events of the log fit theirs', async () => {
    const Schemas = z.object({ events: z.array(z.object({ kind: z.string(), type: z.string(), schemaVersion: z.number(), schema: Schema })) })
    const { events } = Schemas.parse((await anyone.get('/schemas/events')).json)
    expect(events.map((event) => event.type).sort()).toEqual(Object.values(eventSchemas).flatMap((schemas) => Object.keys(schemas)).sort())
    const ajv = new Ajv2020({ strict: false })
    formats.default(ajv)
    const checks = new Map(events.map((event) => [event.type, ajv.compile(event.schema)]))
    const { customerId } = await enter(service.as('clerk'), { contacts: [{ name: '张三' }] })
    accepted(await service.as('clerk').send('change-stage', { customerId, to: 'lost', reason: '试' }))
    const recorded = z.object({ items: z.array(z.object({ type: z.string(), data: z.unknown() })) }).parse((await service.as('auditor').get(`/customers/${customerId}/events`)).json).items
    expect(recorded).toHaveLength(3)
    for (const event of recorded) expect([event.type, checks.get(event.type)?.(event.data)]).toEqual([event.type, true])
  })

  it('every problem has a page that says what it means and what to do', async () => {
    for (const [name, entry] of problems) {
      const answer = await anyone.get(`/docs/problems/${name}`)
      expect(answer.json).toMatchObject({ type: `/docs/problems/${name}`, status: entry.status, title: entry.title, retryable: entry.retryable, advice: entry.advice })
      expect(entry.advice.length, name).toBeGreaterThan(10)
    }
    expect(problemOf(await anyone.get('/docs/problems/no-such-problem')).name).toBe('not-found')
    // A problem's type leads to its page.
    const { type } = refused(await anyone.get('/customers'), 401, 'unauthenticated')
    expect((await anyone.get(type)).status).toBe(200)
  })

  it('health and metrics tell how it is', async () => {
    expect((await anyone.get('/health/live')).json).toEqual({ status: 'ok' })
    expect((await anyone.get('/health/ready')).json).toMatchObject({ status: 'ok', models: projections.map(({ model }) => ({ model, state: 'live', detail: null })) })
    const metrics = (await service.as('admin').get('/metrics')).text
    for (const name of ['kehu_command_seconds_count{command="create-customer",status="201"}', 'kehu_projection_lag{model="lifecycle"}', 'kehu_projection_stopped{model="lifecycle"} 0']) expect(metrics).toContain(name)
    expect((await service.as('admin').get('/projections')).json).toMatchObject({ items: projections.map(() => ({ build: 'live', ready: true, stopped: null })) })
  })
})
