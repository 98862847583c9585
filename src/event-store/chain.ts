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

/** Stands where the hash will: metadata is written once, for the text without the hash and the text with it. */
const NO_HASH = `"hash":"${'0'.repeat(64)}"`

export const chain = (stream: string, revision: number, event: Unhashed): SealedEvent => {
  const data = canonical(event.data)
  const written = canonical({ ...event.metadata, hash: '0'.repeat(64) })
  // No value can hold it: in a text its quotes are escaped. Behind it come more keys.
  const at = written.indexOf(NO_HASH)
  const [before, behind] = [written.slice(0, at), written.slice(at + NO_HASH.length)]
  const hash = sha256(preimage(stream, revision, event, { data, metadata: before + behind.slice(1) }))
  const sealed = { ...event, metadata: { ...event.metadata, hash } }
  texts.set(sealed, { data, metadata: `${before}"hash":"${hash}"${behind}` })
  return sealed
}

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
