import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { registry } from '../../src/commands/registry.ts'
import { startService, type Answer, type RoleName, type Sender, type TestService } from '../support/http.ts'
import { operationsOf, type Operation } from '../support/openapi.ts'
import { commands } from './commands.ts'
import { enter, organise } from './people.ts'

const at = { customerId: 'mine', contactId: 'x', email: 'mine@example.com' }

// Texts of every kind there is: plain, all of Unicode, half surrogates, and what other programs have stumbled over.
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('', '\u0000', '\ud800', '__proto__', 'constructor', 'toString', '=1+1', "'; drop table kehu.event; --", '%00', '../..', '\u202e', 'NaN', '1e400', '2026-02-30', '9'.repeat(400), 'mobile', 'mine', 'stages'),
)
const value: fc.Arbitrary<unknown> = fc.oneof({ maxDepth: 3 }, text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom(1e308, -0, 9_007_199_254_740_993), fc.array(fc.oneof(text, fc.integer()), { maxLength: 4 }), fc.dictionary(text, text, { maxKeys: 4 }))

const Json = z.record(z.string(), z.unknown())

/** A body that was good, with one of its parts, however deep, exchanged for anything. */
const spoilt = (body: unknown, [key, ...path]: string[], bad: unknown): unknown => {
  if (key === undefined) return bad
  if (Array.isArray(body)) return body.map((item: unknown, index) => (String(index) === key ? spoilt(item, path, bad) : item))
  const object = Json.safeParse(body)
  return object.success ? { ...object.data, [key]: spoilt(object.data[key], path, bad) } : bad
}
const pathsOf = (body: unknown, path: string[] = []): string[][] =>
  typeof body !== 'object' || body === null ? [path] : [path, ...Object.entries(body).flatMap(([key, item]) => pathsOf(item, [...path, key])), [...path, 'extra']]

describe('whatever is sent', () => {
  let service: TestService
  let operations: Operation[]
  const senders = new Map<string, Sender>()
  const as = (role: RoleName) => senders.get(role) ?? service.as(role)
  beforeAll(async () => {
    service = await startService({ KEHU_READ_WAIT_MS: '20' })
    await organise(service, { hq: null }, { sun: 'hq', mover: 'hq' })
    for (const role of ['clerk', 'system', 'admin', 'auditor', 'analyst'] as const) senders.set(role, service.as(role))
    await enter(as('clerk'), { customerId: 'mine', identifiers: [{ kind: 'email', value: 'mine@example.com' }], contacts: [{ name: '某' }] })
    operations = operationsOf((await service.with(undefined).get('/openapi.json')).json).filter((operation) => operation.method === 'GET')
  })
  afterAll(() => service.close())

  // That each answer is one /openapi.json allows for its route, the sender sees to.
  const sound = (answer: Answer) => expect(answer.status, answer.text).toBeLessThan(500)
  const isAdmins = (command: string) => commands[command]?.roles === 'admin'
  const send = (command: string, body: unknown, dryRun: boolean) => as(isAdmins(command) ? 'admin' : 'system').send(command, body, { dryRun, ...(isAdmins(command) ? {} : { onBehalfOf: 'sun' }) })

  it('any JSON to any command is answered, and never with a 5xx', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...registry.map((command) => command.name)), value, fc.boolean(), async (command, body, dryRun) => {
      sound(await send(command, body, dryRun))
    }), { numRuns: 200 })
  })

  it('a good body of which one part is anything is answered, and never with a 5xx', async () => {
    const spoiltBody = fc.constantFrom(...Object.keys(commands)).chain((command) => {
      const body = commands[command]?.body(at)
      return fc.record({ command: fc.constant(command), body: fc.tuple(fc.constantFrom(...pathsOf(body)), value).map(([path, bad]) => spoilt(body, path, bad)) })
    })
    await fc.assert(fc.asyncProperty(spoiltBody, async ({ command, body }) => {
      sound(await send(command, body, command === 'depart-employee'))
    }), { numRuns: 300 })
  })

  it('any line of a batch is answered in its place', async () => {
    const line = fc.oneof(text.map((one) => one.replace(/[\r\n]/g, ' ')), value.map((one) => JSON.stringify(one)), fc.record({ command: fc.constantFrom(...registry.map((command) => command.name)), key: text, body: value }).map((one) => JSON.stringify(one)))
    await fc.assert(fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 40 }), async (lines) => {
      const answers = await as('system').batch(lines.map((one) => one.toWellFormed()))
      expect(answers.filter((answer) => answer.status >= 500)).toEqual([])
      expect(answers.map((answer) => answer.line)).toEqual(lines.flatMap((one, index) => (one.toWellFormed().trim() === '' ? [] : [index + 1])))
    }), { numRuns: 25 })
  })

  it('any parameters to any query are answered, and never with a 500', async () => {
    const word = fc.oneof(text, fc.constantFrom('mine', 'mobile:13800138000', '2026-03-03', '2026-03-03T00:00:00Z', '1', '0', 'target', ''))
    await fc.assert(fc.asyncProperty(fc.nat(), fc.array(word, { minLength: 1, maxLength: 1 }), fc.dictionary(fc.constantFrom('q', 'identifier', 'after', 'cursor', 'limit', 'asOf', 'knownAt', 'from', 'to', 'stage', 'tier', 'ownerId', 'departmentId', 'category'), word, { maxKeys: 3 }), fc.constantFrom('application/json', 'text/csv', 'application/x-ndjson'), async (pick, [part = ''], query, accept) => {
      const operation = operations[pick % operations.length]
      const path = (operation?.path ?? '/').replace(/\{[^}]+\}/g, () => encodeURIComponent((part || 'x').toWellFormed()).replaceAll('.', '%2e'))
      const search = new URLSearchParams(Object.entries(query).map(([name, word]): [string, string] => [name, word.toWellFormed()]))
      const answer = await as('auditor').get(`${path}?${search.toString()}`, { accept })
      expect([answer.status === 500, answer.text.includes('internal-error') && answer.status !== 200]).toEqual([false, false])
    }), { numRuns: 250 })
  })
})
