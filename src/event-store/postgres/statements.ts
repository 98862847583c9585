import { emptyHead, textsOf } from '../chain.ts'
import { lastOf, revisionBefore } from '../joined.ts'
import type { Append } from '../port.ts'
import type { ArrayWriter } from '../binary.ts'
import { streamKey } from './rows.ts'

const types = {
  append: ['uuid', 'integer', 'bytea', 'integer', 'integer'],
  receipt: ['integer', 'uuid', 'text', 'text', 'text', 'integer', 'text', 'timestamptz'],
  event: ['uuid', 'integer', 'uuid', 'text', 'text', 'text', 'text', 'bytea'],
}
const parameters = Object.values(types).flat().map((type, index) => `$${index + 1}::${type}[]`)

/** A batch of appends, each to its own stream: migrations/0006-append-batch.ts says what it answers. */
export const APPEND_BATCH = { name: 'append-batch', text: `select * from kehu.append_batch(${parameters.join(', ')})` }

/** Tells readers that there is more. Nothing is lost with a notification, so it does not wait for the disk. */
export const NOTIFY = { name: 'notify', text: `select set_config('synchronous_commit', 'off', true), pg_notify('kehu_log', $1::text)` }

/** Appends to one stream that are one append, and that append. */
export type Joined = { whole: Append; appends: readonly Append[] }

/** Its arguments, an array for each column. They are good until the writer is used again. */
export const argumentsOf = (batch: readonly Joined[], write: ArrayWriter): Buffer[] => {
  write.reset()
  let events = 0
  const appends = batch.map(({ whole, appends: several }) => {
    const from = events + 1
    events += whole.events.length
    return { whole, several, from, key: streamKey(whole.stream), expected: revisionBefore(whole) }
  })
  const columns = appends.flatMap(({ whole, key, expected }) => whole.events.map((event, index) => ({ event, key, stream: whole.stream, revision: expected + 1 + index, texts: textsOf(event) })))
  const kept = appends.flatMap(({ several, from }) => {
    const last = lastOf(several)
    return several.flatMap(({ receipt }, at) => (receipt ? [{ receipt, number: from + (last[at] ?? 0) }] : []))
  })
  return [
    write.uuids(appends.map(({ key }) => key)),
    write.integers(appends.map(({ expected }) => expected)),
    write.hexBytes(appends.map(({ whole }) => whole.events[0]?.metadata.prevHash ?? emptyHead(whole.stream).hash)),
    write.integers(appends.map(({ from }) => from)),
    write.integers(appends.map(({ whole }) => whole.events.length)),
    write.integers(kept.map(({ number }) => number)),
    write.uuids(kept.map(({ receipt }) => receipt.commandId)),
    write.texts(kept.map(({ receipt }) => receipt.commandHash)),
    write.texts(kept.map(({ receipt }) => receipt.command)),
    write.texts(kept.map(({ receipt }) => receipt.streams.join(' '))),
    write.integers(kept.map(({ receipt }) => receipt.status)),
    write.texts(kept.map(({ receipt }) => JSON.stringify(receipt.answer))),
    write.instants(kept.map(({ receipt }) => receipt.recordedAt)),
    write.uuids(columns.map(({ key }) => key)),
    write.integers(columns.map(({ revision }) => revision)),
    write.uuids(columns.map(({ event }) => event.id)),
    write.texts(columns.map(({ stream }) => stream)),
    write.texts(columns.map(({ event }) => event.type)),
    write.texts(columns.map(({ texts }) => texts.data)),
    write.texts(columns.map(({ texts }) => texts.metadata)),
    write.hexBytes(columns.map(({ event }) => event.metadata.hash)),
  ]
}
