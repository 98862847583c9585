import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import { makeCodec, type PlainEvent, type SharedMetadata } from '../../src/event-store/codec.ts'
import type { Keyring } from '../../src/event-store/keyring.ts'
import type { RecordedEvent, SealedEvent } from '../../src/event-store/port.ts'
import { MissingKey, SubjectErased, type SubjectKey } from '../../src/event-store/sealing.ts'

const stream = 'customer-c1'
const now = '2026-03-03T01:30:00.000Z'
const shared: SharedMetadata = { commandId: 'c', commandHash: 'h', actor: 'clerk', $correlationId: 'c', $causationId: 'c', policies: [{ name: 'ownership', version: 3 }] }

/** Keys in memory, and who asked for which. */
const makeKeys = () => {
  const rows = new Map<string, SubjectKey>()
  const find: Keyring['find'] = (subjects) => Promise.resolve(new Map(subjects.flatMap((subject) => {
    const key = rows.get(subject)
    return key ? [[subject, key] as const] : []
  })))
  const ensured: string[][] = []
  const keyring: Keyring = {
    find,
    ensure: (subjects) => {
      ensured.push([...subjects])
      for (const subject of subjects) if (!rows.has(subject)) rows.set(subject, randomBytes(32))
      return find(subjects)
    },
    rotate: () => Promise.resolve(0),
  }
  return { rows, ensured, codec: makeCodec(keyring) }
}

const named = (name: string, subject = 'customer-c1'): PlainEvent => ({ type: 'Named', schemaVersion: 2, data: { name: { personal: subject, value: name }, length: name.length } })
const plain: PlainEvent = { type: 'Noted', schemaVersion: 1, data: { n: 1 } }
const recorded = (events: readonly SealedEvent[], head: Head, name = stream): RecordedEvent[] =>
  events.map((event, index) => ({ ...event, stream: name, revision: head.revision + 1 + index, position: BigInt(index + 1) }))

const faults = (events: readonly RecordedEvent[], head: Head) => {
  let at = head
  return events.flatMap((event) => {
    const fault = chainFault(event, at)
    at = headAfter(event)
    return fault === undefined ? [] : [fault]
  })
}

describe('the codec', () => {
  it('makes of decided events a whole chain on the head, and opens it again to what was decided', async () => {
    const { codec } = makeKeys()
    const head: Head = { revision: 4, hash: 'ab'.repeat(32), recordedAt: '2026-03-03T01:29:59.999Z' }
    const events = [named('王小明'), plain, named('李四', 'contact-k1')]
    const stored = recorded(await codec.encode(stream, head, events, shared, now), head)
    expect(faults(stored, head)).toEqual([])
    expect(JSON.stringify(stored.map((event) => event.data))).not.toMatch(/王小明|李四/)
    expect(stored.map(({ metadata }) => metadata)).toEqual(events.map(({ schemaVersion }) => ({ schemaVersion, ...shared, recordedAt: now, prevHash: expect.any(String), hash: expect.any(String) })))
    expect((await codec.decode(stored)).map(({ type, data }) => ({ type, data }))).toEqual(events.map(({ type, data }) => ({ type, data })))
  })

  it('draws new ids, nonces and so hashes each time: two attempts of a command are two', async () => {
    const { codec } = makeKeys()
    const attempt = () => codec.encode(stream, emptyHead(stream), [named('王小明'), plain], shared, now)
    const both = [...await attempt(), ...await attempt()]
    expect(new Set(both.map((event) => event.id)).size).toBe(4)
    expect(new Set(both.map((event) => event.metadata.hash)).size).toBe(4)
    expect(new Set([both[0], both[2]].map((event) => JSON.stringify(event?.data))).size).toBe(2)
    for (const event of both) expect(event.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('never lets recordedAt decrease in a stream, whatever the clocks say', async () => {
    const { codec } = makeKeys()
    const instant = fc.date({ min: new Date('2026-01-01'), max: new Date('2027-01-01'), noInvalidDate: true }).map((date) => date.toISOString())
    await fc.assert(fc.asyncProperty(fc.array(instant, { minLength: 2, maxLength: 8 }), async (clocks) => {
      let head = emptyHead(stream)
      const times: string[] = []
      for (const clock of clocks) {
        const events = recorded(await codec.encode(stream, head, [plain, plain], shared, clock), head)
        expect(faults(events, head)).toEqual([])
        for (const event of events) {
          times.push(event.metadata.recordedAt)
          expect(event.metadata.recordedAt >= clock).toBe(true)
          head = headAfter(event)
        }
      }
      expect(times).toEqual(times.toSorted())
      expect(times.at(-1)).toBe(clocks.toSorted().at(-1))
    }), { numRuns: 50 })
  })

  it('asks for keys only where something is personal', async () => {
    const { codec, ensured } = makeKeys()
    await codec.encode(stream, emptyHead(stream), [plain], shared, now)
    expect(ensured).toEqual([])
    await codec.encode(stream, emptyHead(stream), [named('甲'), named('乙', 'contact-k1')], shared, now)
    expect(ensured.flat().toSorted()).toEqual(['contact-k1', 'customer-c1'])
  })

  it('reads an erased subject as erased everywhere, and the chain still verifies', async () => {
    const { codec, rows } = makeKeys()
    const stored = recorded(await codec.encode(stream, emptyHead(stream), [named('甲'), named('乙', 'contact-k1')], shared, now), emptyHead(stream))
    rows.set('customer-c1', 'destroyed')
    expect((await codec.decode(stored)).map((event) => event.data)).toEqual([{ name: { erased: true }, length: 1 }, { name: { personal: 'contact-k1', value: '乙' }, length: 1 }])
    expect(faults(stored, emptyHead(stream))).toEqual([])
    await expect(codec.encode(stream, emptyHead(stream), [named('丙')], shared, now)).rejects.toBeInstanceOf(SubjectErased)
  })

  it('takes a missing row of the keyring for a fault', async () => {
    const { codec, rows } = makeKeys()
    const stored = recorded(await codec.encode(stream, emptyHead(stream), [named('甲')], shared, now), emptyHead(stream))
    rows.clear()
    await expect(codec.decode(stored)).rejects.toBeInstanceOf(MissingKey)
  })

  it('does not open what was copied to another stream', async () => {
    const { codec } = makeKeys()
    const stored = recorded(await codec.encode(stream, emptyHead(stream), [named('甲')], shared, now), emptyHead(stream), 'customer-c2')
    await expect(codec.decode(stored)).rejects.toThrow('cannot be opened')
  })
})
