import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { domainEvent, eventSchemas } from '../../src/domain/events.ts'
import { schemaVersionOf } from '../../src/domain/upcasters.ts'

// For every event type and version, events as they stand in the log with their personal values opened, and what they
// read as. What is stored in a golden file is never changed. A new version of a type gets a file of its own; only then
// may `expected` change in the earlier ones, to what the upcaster makes of them.
const folder = new URL('../golden/', import.meta.url)

const Golden = z.array(z.strictObject({
  stored: z.strictObject({
    stream: z.string(),
    revision: z.number().int(),
    type: z.string(),
    data: z.record(z.string(), z.json()),
    metadata: z.looseObject({
      schemaVersion: z.number().int(), recordedAt: z.string(), effectiveAt: z.string().optional(), actor: z.string(), onBehalfOf: z.string().optional(), commandId: z.string(),
      policies: z.array(z.object({ name: z.string(), version: z.number() })).optional(),
    }),
  }),
  expected: z.json(),
})).min(1)

const read = (name: string) => Golden.parse(JSON.parse(readFileSync(new URL(name, folder), 'utf8')))
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const isPersonal = (value: object): boolean => 'personal' in value && 'value' in value && Object.keys(value).length === 2

/** The same with every personal value erased, as it reads once the keys are destroyed. */
const erased = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(erased)
  if (typeof value !== 'object' || value === null) return value
  return isPersonal(value) ? { erased: true } : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, erased(item)]))
}

/** Whether a schema admits a personal value anywhere. */
const admitsPersonal = (schema: unknown): boolean => JSON.stringify(z.toJSONSchema(z.instanceof(z.ZodType).parse(schema))).includes('"erased"')

const versions = Object.entries(eventSchemas).flatMap(([kind, schemas]) =>
  Object.keys(schemas).flatMap((type) => Array.from({ length: schemaVersionOf(type) }, (_, index) => ({ kind, type, version: index + 1, file: `${type}.v${index + 1}.json` }))))

describe('an event of every type and version ever written', () => {
  it.each(versions)('$file reads as it always has', ({ kind, type, version, file }) => {
    for (const { stored, expected } of read(file)) {
      expect({ kind: stored.stream.split('-')[0], type: stored.type, version: stored.metadata.schemaVersion }).toEqual({ kind, type, version })
      expect(plain(domainEvent(stored))).toEqual(expected)
    }
  })

  it.each(versions)('$file still reads when its personal values are erased', ({ kind, type, file }) => {
    const golden = read(file)
    for (const { stored, expected } of golden) expect(plain(domainEvent({ ...stored, data: erased(stored.data) }))).toEqual(erased(expected))
    // So that this says something: wherever a type can have a personal value, its golden events have one.
    const schemas = new Map(Object.entries(eventSchemas)).get(kind)
    expect(JSON.stringify(golden).includes('"personal":"')).toBe(admitsPersonal(schemas?.[type]))
  })

  it('has a file for nothing else', () => {
    expect(readdirSync(folder).toSorted()).toEqual(versions.map(({ file }) => file).toSorted())
  })

  it('has a name of its own', () => {
    const types = Object.values(eventSchemas).flatMap((schemas) => Object.keys(schemas))
    expect(new Set(types).size).toBe(types.length)
  })
})
