import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeArrayWriter } from '../../src/event-store/binary.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'

describe('arrays in PostgreSQL’s binary format', () => {
  let database: TestDatabase
  let client: pg.Client
  const write = makeArrayWriter()
  beforeAll(async () => {
    database = await makeDatabase()
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })
  const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((one) => !one.includes('\u0000'))
  const hex = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('hex'))
  const instant = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }).map((date) => date.toISOString())

  it('are read by PostgreSQL as what was written, empty and many, whatever was written before into the same buffer', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uuid(), { maxLength: 300 }), fc.array(fc.integer()), fc.array(text, { maxLength: 300 }), fc.array(hex), fc.array(instant), async (uuids, integers, texts, bytes, instants) => {
      write.reset()
      const values = [write.uuids(uuids), write.integers(integers), write.texts(texts), write.hexBytes(bytes), write.instants(instants)]
      const { rows: [row] } = await client.query<{ u: string[]; i: number[]; t: string[]; b: Buffer[]; z: Date[] }>('select $1::uuid[]::text[] as u, $2::integer[] as i, $3::text[] as t, $4::bytea[] as b, $5::timestamptz[] as z', values)
      expect(row?.u).toEqual(uuids)
      expect(row?.i).toEqual(integers)
      expect(row?.t).toEqual(texts)
      expect(row?.b.map((one) => one.toString('hex'))).toEqual(bytes)
      expect(row?.z.map((one) => one.toISOString())).toEqual(instants)
    }), { numRuns: 60 })
  })

  it('hold nulls, 64-bit integers and truths', async () => {
    const nullable = <T>(one: fc.Arbitrary<T>) => fc.array(fc.option(one))
    await fc.assert(fc.asyncProperty(nullable(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)), nullable(fc.boolean()), nullable(text), nullable(fc.integer()), nullable(instant), async (bigints, truths, texts, integers, instants) => {
      write.reset()
      const values = [write.bigints(bigints), write.booleans(truths), write.texts(texts), write.integers(integers), write.instants(instants)]
      const { rows: [row] } = await client.query<{ l: (string | null)[]; b: (boolean | null)[]; t: (string | null)[]; i: (number | null)[]; z: (Date | null)[] }>('select $1::bigint[]::text[] as l, $2::boolean[] as b, $3::text[] as t, $4::integer[] as i, $5::timestamptz[] as z', values)
      expect({ ...row, z: row?.z.map((one) => one?.toISOString() ?? null) }).toEqual({ l: bigints, b: truths, t: texts, i: integers, z: instants })
    }), { numRuns: 60 })
  })

  it('keep what is longer than the buffer', async () => {
    write.reset()
    const texts = Array.from({ length: 40 }, (_, n) => '客'.repeat(5000 + n))
    const values = [write.integers([1, 2]), write.texts(texts), write.texts(['后'])]
    const { rows: [row] } = await client.query<{ i: number[]; t: string[]; l: string[] }>('select $1::integer[] as i, $2::text[] as t, $3::text[] as l', values)
    expect(row).toEqual({ i: [1, 2], t: texts, l: ['后'] })
  })

  it('are not made of what is not of their type', () => {
    for (const wrong of ['', 'no', '01234567-89ab-cdef-0123-456789abcdeg', '01234567-89ab-cdef-0123-456789abcdef0']) expect(() => write.uuids([wrong]), wrong).toThrow(TypeError)
    for (const wrong of ['a', 'xy']) expect(() => write.hexBytes([wrong]), wrong).toThrow(TypeError)
    expect(() => write.instants(['yesterday'])).toThrow(TypeError)
    for (const wrong of ['', '1.5', '0x10', 'x', '9223372036854775808']) expect(() => write.bigints([wrong]), wrong).toThrow()
  })
})
