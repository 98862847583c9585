import { randomUUID } from 'node:crypto'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { describe, expect, it } from 'vitest'
import { makeRecord, streamName } from './record.ts'

const sizes = [0, 1, 63, 127, 128, 129, 300, 16_383, 16_384, 70_000]
const numbers = [0, 1, 127, 128, 300, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]

describe('a record', () => {
  it.each(sizes)('with %i bytes of data is read by the generated code as it was written', (size) => {
    for (const [place, position] of numbers.entries()) {
      const revision = BigInt(numbers.at(-1 - place) ?? 0)
      const event = { id: randomUUID(), type: `客户-${'t'.repeat(place)}`, isJson: place % 2 === 0, data: Buffer.alloc(size, 'd'), metadata: Buffer.alloc(place * 60, 'm') }
      const { bytes } = makeRecord(event, { stream: `流-${'s'.repeat(place * 40)}`, revision, position, transaction: Math.floor(position / 2), next: position + 1 })
      const read = streams.ReadResp.deserializeBinary(bytes).getEvent()
      const recorded = read?.getEvent()
      expect(read?.getCommitPosition()).toBe(String(position))
      expect(recorded?.getCommitPosition()).toBe(String(position))
      expect(recorded?.getPreparePosition()).toBe(String(Math.floor(position / 2)))
      expect(recorded?.getStreamRevision()).toBe(String(revision))
      expect(recorded?.getId()?.getString()).toBe(event.id)
      expect(streamName(recorded?.getStreamIdentifier())).toBe(`流-${'s'.repeat(place * 40)}`)
      expect(recorded?.getMetadataMap().get('type')).toBe(event.type)
      expect(recorded?.getMetadataMap().get('content-type')).toBe(event.isJson ? 'application/json' : 'application/octet-stream')
      expect(Buffer.from(recorded?.getData_asU8() ?? []).equals(event.data)).toBe(true)
      expect(Buffer.from(recorded?.getCustomMetadata_asU8() ?? []).equals(event.metadata)).toBe(true)
    }
  })

  it('of a tombstone carries the largest revision there is', () => {
    const event = { id: randomUUID(), type: '$streamDeleted', isJson: true, data: new Uint8Array(), metadata: new Uint8Array() }
    const { bytes } = makeRecord(event, { stream: 'gone', revision: 2n ** 63n - 1n, position: 5, transaction: 5, next: 9 })
    expect(streams.ReadResp.deserializeBinary(bytes).getEvent()?.getEvent()?.getStreamRevision()).toBe('9223372036854775807')
  })
})
