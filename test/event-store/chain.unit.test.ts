import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, sha256 } from '../../src/event-store/canonical.ts'
import { chain, chainFault, emptyHead, eventHash, headAfter, type Head } from '../../src/event-store/chain.ts'
import type { JsonObject, Metadata, RecordedEvent } from '../../src/event-store/port.ts'

const stream = 'customer-c1'
const metadata = (recordedAt: string): Omit<Metadata, 'prevHash' | 'hash'> =>
  ({ schemaVersion: 1, commandId: 'a', commandHash: 'b', actor: 'clerk', $correlationId: 'c', $causationId: 'd', recordedAt, policies: [{ name: 'stages', version: 1 }] })

/** A whole stream of these data, a second apart. */
const streamOf = (all: readonly JsonObject[], name = stream): RecordedEvent[] => {
  const events: RecordedEvent[] = []
  for (const [revision, data] of all.entries()) {
    const before = events[revision - 1]
    const head: Head = before ? headAfter(before) : emptyHead(name)
    const event = chain(name, revision, { id: `id-${revision}`, type: 'Noted', data, metadata: { ...metadata(new Date(Date.UTC(2026, 0, 1, 0, 0, revision)).toISOString()), prevHash: head.hash } })
    events.push({ ...event, stream: name, revision, position: BigInt(100 + revision) })
  }
  return events
}

/** The place and kind of the first fault, as a verifier finds it. */
const verify = (events: readonly RecordedEvent[], name = stream): { at: number; fault: string } | undefined => {
  let head = emptyHead(name)
  for (const [at, event] of events.entries()) {
    const fault = chainFault({ ...event, stream: name }, head)
    if (fault !== undefined) return { at, fault }
    head = headAfter(event)
  }
  return undefined
}

const whole = streamOf([{ n: 0 }, { n: 1, deep: { list: [1, { two: '二' }] } }, { n: 2 }, { n: 3 }])
const withEvent = (at: number, change: (event: RecordedEvent) => RecordedEvent) => whole.map((event, index) => (index === at ? change(event) : event))
const content = 'its hash does not fit its content'

describe('the hash chain', () => {
  it('of what was written is whole', () => {
    expect(verify(whole)).toBeUndefined()
    expect(verify([])).toBeUndefined()
  })

  it('does not depend on where the store put the events, or on the order of keys', () => {
    expect(verify(whole.map((event, index) => ({ ...event, position: BigInt(9 - index) })))).toBeUndefined()
    const turned = withEvent(1, (event) => ({ ...event, data: { deep: { list: [1, { two: '二' }] }, n: 1 } }))
    expect(verify(turned)).toBeUndefined()
  })

  it('begins with the hash of the stream’s name', () => {
    expect(emptyHead(stream)).toEqual({ revision: -1, hash: sha256(stream), recordedAt: null })
    expect(whole[0]?.metadata.prevHash).toBe(sha256(stream))
  })

  it.each<[string, (event: RecordedEvent) => RecordedEvent]>([
    ['other data', (event) => ({ ...event, data: { ...event.data, n: 7 } })],
    ['a change deep in the data', (event) => ({ ...event, data: { n: 1, deep: { list: [1, { two: '三' }] } } })],
    ['a field added to the data', (event) => ({ ...event, data: { ...event.data, more: null } })],
    ['a field taken from the data', (event) => ({ ...event, data: { n: 1 } })],
    ['another id', (event) => ({ ...event, id: 'id-x' })],
    ['another type', (event) => ({ ...event, type: 'Denied' })],
    ['another actor', (event) => ({ ...event, metadata: { ...event.metadata, actor: 'manager' } })],
    ['another time', (event) => ({ ...event, metadata: { ...event.metadata, recordedAt: '2026-01-01T00:00:01.001Z' } })],
    ['an effective time added', (event) => ({ ...event, metadata: { ...event.metadata, effectiveAt: '2025-01-01T00:00:00.000Z' } })],
    ['another policy version', (event) => ({ ...event, metadata: { ...event.metadata, policies: [{ name: 'stages', version: 2 }] } })],
    ['the policies left out', (event) => ({ ...event, metadata: { ...metadata(event.metadata.recordedAt), policies: [], prevHash: event.metadata.prevHash, hash: event.metadata.hash } })],
    ['another hash', (event) => ({ ...event, metadata: { ...event.metadata, hash: sha256('x') } })],
  ])('finds %s, at its place', (_what, change) => {
    expect(verify(withEvent(1, change))).toEqual({ at: 1, fault: content })
  })

  it('finds that an event was forged with a hash that fits: the next one does not follow it', () => {
    const forged = withEvent(1, (event) => ({ ...event, ...chain(stream, 1, { id: event.id, type: event.type, data: { n: 7 }, metadata: { ...metadata(event.metadata.recordedAt), prevHash: event.metadata.prevHash } }) }))
    expect(verify(forged)).toEqual({ at: 2, fault: 'prevHash is not the hash of the event before it' })
  })

  it('finds another prevHash', () => {
    expect(verify(withEvent(2, (event) => ({ ...event, metadata: { ...event.metadata, prevHash: sha256('x') } })))?.at).toBe(2)
  })

  it('finds an event removed: from the front, from the middle, and closed up afterwards', () => {
    expect(verify(whole.slice(1))).toEqual({ at: 0, fault: 'revision 1 follows -1' })
    expect(verify(whole.toSpliced(1, 1))).toEqual({ at: 1, fault: 'revision 2 follows 0' })
    const closedUp = whole.toSpliced(1, 1).map((event, revision) => ({ ...event, revision }))
    expect(verify(closedUp)).toEqual({ at: 1, fault: 'prevHash is not the hash of the event before it' })
  })

  it('finds events in another order, renumbered or not', () => {
    const [a, b, c, d] = whole
    const reordered = a && b && c && d ? [a, c, b, d] : []
    expect(verify(reordered)).toEqual({ at: 1, fault: 'revision 2 follows 0' })
    expect(verify(reordered.map((event, revision) => ({ ...event, revision })))?.at).toBe(1)
  })

  it('finds an event put in twice', () => {
    const [first] = whole
    expect(verify(first ? [first, ...whole] : [])).toEqual({ at: 1, fault: 'revision 0 follows 0' })
  })

  it('finds a stream passed off as another', () => {
    expect(verify(whole, 'customer-c2')).toEqual({ at: 0, fault: 'prevHash is not the hash of the event before it' })
  })

  it('finds time running backwards, even where every hash fits', () => {
    const [first] = streamOf([{}])
    if (!first) throw new Error('no event made')
    const earlier = chain(stream, 1, { id: 'id-1', type: 'Noted', data: {}, metadata: { ...metadata('2025-12-31T23:59:59.999Z'), prevHash: first.metadata.hash } })
    expect(verify([first, { ...earlier, stream, revision: 1, position: 2n }])).toEqual({ at: 1, fault: 'recordedAt is earlier than that of the event before it' })
  })

  it('of any content is whole, and any one change to it is found', () => {
    const data = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })).map((value): JsonObject => JSON.parse(JSON.stringify(value)))
    fc.assert(fc.property(fc.array(data, { minLength: 1, maxLength: 5 }), fc.nat(), data, (all, pick, other) => {
      const events = streamOf(all)
      expect(verify(events)).toBeUndefined()
      const at = pick % all.length
      fc.pre(canonical(all[at]) !== canonical(other))
      expect(verify(events.map((event, index) => (index === at ? { ...event, data: other } : event)))).toEqual({ at, fault: content })
    }))
  })

  it('refuses content that has no canonical form', () => {
    const hashOf = (data: JsonObject) => eventHash(stream, 0, { id: 'a', type: 'Noted', data, metadata: { ...metadata(''), prevHash: '' } })
    expect(() => hashOf({ text: '\ud800' })).toThrow('lone surrogate')
    expect(() => hashOf({ number: Number.NaN })).toThrow()
    expect(() => hashOf({ number: Number.POSITIVE_INFINITY })).toThrow()
    expect(() => canonical(undefined)).toThrow(TypeError)
  })
})
