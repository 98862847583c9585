import { canonical, sha256 } from './canonical.ts'
import { streamDigest } from './stream-digest.ts'
import type { JsonObject, Metadata, RecordedEvent, SealedEvent } from './port.ts'

/** Where the next event of a stream attaches. */
export type Head = { revision: number; hash: string; recordedAt: string | null }

/** The head of a stream without events: revision -1, and the hash of its name. */
export const emptyHead = (stream: string): Head => ({ revision: -1, hash: streamDigest(stream), recordedAt: null })

export const headAfter = (event: RecordedEvent): Head => ({
  revision: event.revision,
  hash: event.metadata.hash,
  recordedAt: event.metadata.recordedAt,
})

type Unhashed = { id: string; type: string; data: JsonObject; metadata: Omit<Metadata, 'hash'> }

/** The canonical form of stream, revision and the whole event without its hash, from those of its data and metadata. */
const preimage = (stream: string, revision: number, { id, type }: Unhashed, texts: EventTexts): string =>
  `{"data":${texts.data},"id":${canonical(id)},"metadata":${texts.metadata},"revision":${revision},"stream":${canonical(stream)},"type":${canonical(type)}}`

const textsWithoutHash = ({ data, metadata }: Unhashed): EventTexts => ({ data: canonical(data), metadata: canonical(metadata) })

/** SHA-256 over the canonical form of stream, revision and the whole event without its hash (docs/storage-format.md). */
export const eventHash = (stream: string, revision: number, event: Unhashed): string => sha256(preimage(stream, revision, event, textsWithoutHash(event)))

export const chain = (stream: string, revision: number, event: Unhashed): SealedEvent => {
  const data = canonical(event.data)
  const entries = entriesOf(event.metadata)
  const hash = sha256(preimage(stream, revision, event, { data, metadata: `{${entries.map(([, text]) => text).join(',')}}` }))
  const sealed = { ...event, metadata: { ...event.metadata, hash } }
  const behind = entries.findIndex(([key]) => key > 'hash')
  texts.set(sealed, { data, metadata: `{${entries.map(([, text]) => text).toSpliced(behind < 0 ? entries.length : behind, 0, `"hash":"${hash}"`).join(',')}}` })
  return sealed
}

/** The entries of canonical metadata, in order: written once, for the text without the hash and the text with it. */
const entriesOf = (metadata: object): [key: string, text: string][] =>
  Object.entries(metadata).filter(([, value]) => value !== undefined).sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, value]) => [key, `${canonical(key)}:${canonical(value)}`])

/** The texts a store keeps of an event: its bytes. */
export type EventTexts = { data: string; metadata: string }

const texts = new WeakMap<SealedEvent, EventTexts>()

/** An event that was chained here has its texts from there; of any other they are made. */
export const textsOf = (event: SealedEvent): EventTexts => texts.get(event) ?? { data: canonical(event.data), metadata: canonical(event.metadata) }

/** What is wrong with an event standing at its place after `previous`, in words; undefined when it is whole. */
export const chainFault = (event: RecordedEvent, previous: Head): string | undefined => {
  const { hash, ...metadata } = event.metadata
  if (event.revision !== previous.revision + 1) return `revision ${event.revision} follows ${previous.revision}`
  if (metadata.prevHash !== previous.hash) return 'prevHash is not the hash of the event before it'
  if (eventHash(event.stream, event.revision, { id: event.id, type: event.type, data: event.data, metadata }) !== hash) return 'its hash does not fit its content'
  if (previous.recordedAt !== null && metadata.recordedAt < previous.recordedAt) return 'recordedAt is earlier than that of the event before it'
  return undefined
}
