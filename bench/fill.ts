import type pg from 'pg'
import { schemaVersionOf } from '../src/domain/upcasters.ts'
import { canonical } from '../src/event-store/canonical.ts'
import { emptyHead, headAfter, type Head } from '../src/event-store/chain.ts'
import { makeCodec } from '../src/event-store/codec.ts'
import type { Keyring } from '../src/event-store/keyring.ts'
import type { JsonObject, RecordedEvent } from '../src/event-store/port.ts'
import { streamKey } from '../src/event-store/postgres/rows.ts'
import { subjectsOf } from '../src/event-store/sealing.ts'
import { mix, type Happening } from './mix.ts'

const CHUNK = 2000

const jsonOf = (value: object): JsonObject => JSON.parse(JSON.stringify(value))

/**
 * Writes events, the mix unless others are given, behind what the log holds, sealed and chained as commands would, but in bulk: straight into
 * the table, without receipts. Who does what in which order follows from the seed; ids of events and nonces are drawn anew.
 */
export const fillLog = async ({ pool, keyring, events: wanted, seed, happenings = mix(seed), onProgress }: { pool: pg.Pool; keyring: Keyring; events: number; seed: number; happenings?: Iterable<Happening>; onProgress?: (written: number) => void }): Promise<void> => {
  const codec = makeCodec(keyring)
  const heads = new Map<string, Head>()
  const { rows: [last] } = await pool.query<{ position: string }>('select coalesce(max(position), 0) as position from kehu.event')
  let position = Number(last?.position ?? 0)
  let written = 0

  const write = async (happenings: readonly Happening[]): Promise<void> => {
    const planned = happenings.map((one) => ({ ...one, events: one.events.map(({ type, data }) => ({ type, schemaVersion: schemaVersionOf(type), data: jsonOf(data) })) }))
    // All keys of the chunk at once: sealing then finds them in memory.
    await keyring.ensure(planned.flatMap((one) => one.events.flatMap((event) => subjectsOf(event.data))))
    const recorded: RecordedEvent[] = []
    for (const { stream, commandId, actor, at, policy, events } of planned) {
      const head = heads.get(stream) ?? emptyHead(stream)
      const metadata = { commandId, commandHash: commandId, actor, $correlationId: commandId, $causationId: commandId, ...(policy === null ? {} : { policies: [{ name: policy, version: 1 }] }) }
      const sealed = await codec.encode(stream, head, events, metadata, at)
      for (const [index, event] of sealed.entries()) {
        position += 1
        const one = { ...event, stream, revision: head.revision + 1 + index, position: BigInt(position) }
        recorded.push(one)
        heads.set(stream, headAfter(one))
      }
    }
    await pool.query(
      `insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
       select position, stream_key, revision, event_id, stream, type, data, metadata, decode(hash, 'hex')
       from unnest($1::bigint[], $2::uuid[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
         as new (position, stream_key, revision, event_id, stream, type, data, metadata, hash)`,
      [
        recorded.map((one) => String(one.position)), recorded.map((one) => streamKey(one.stream)), recorded.map((one) => one.revision), recorded.map((one) => one.id), recorded.map((one) => one.stream),
        recorded.map((one) => one.type), recorded.map((one) => canonical(one.data)), recorded.map((one) => canonical(one.metadata)), recorded.map((one) => one.metadata.hash),
      ],
    )
    written += recorded.length
    onProgress?.(written)
  }

  let chunk: Happening[] = []
  for (const happening of happenings) {
    chunk.push(happening)
    if (chunk.length < CHUNK && written + chunk.length < wanted) continue
    await write(chunk)
    chunk = []
    if (written >= wanted) break
  }
  await write(chunk)
  await pool.query('vacuum analyze kehu.event')
}
