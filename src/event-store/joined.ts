import { textsOf } from './chain.ts'
import { AppendTooLarge, MAX_APPEND_BYTES, type Append, type SealedEvent } from './port.ts'
import { checkStreamName } from './stored-event.ts'

/**
 * Appends to one stream, each going on where the one before ends, as the one append they make. Checked for what no
 * store takes.
 * @throws TypeError, AppendTooLarge
 */
export const joined = (appends: readonly Append[]): Append => {
  const [first] = appends
  if (!first) throw new TypeError('there is nothing to append')
  checkStreamName(first.stream)
  const commands = new Set<string>()
  let next = first.expectedRevision
  for (const { stream, expectedRevision, events, receipt } of appends) {
    if (events.length === 0) throw new TypeError('an append needs an event')
    if (stream !== first.stream || expectedRevision !== next) throw new TypeError('appends together go to one stream, each where the one before ends')
    if (receipt && commands.has(receipt.commandId)) throw new TypeError('a command appends once')
    if (receipt) commands.add(receipt.commandId)
    next = (expectedRevision === 'no_stream' ? -1 : expectedRevision) + events.length
  }
  const events = appends.flatMap((append) => append.events)
  const bytes = events.reduce((sum, event) => sum + sizeOf(event), 0)
  if (bytes > MAX_APPEND_BYTES) throw new AppendTooLarge(`the events of one command may have ${MAX_APPEND_BYTES} bytes, these have ${bytes}`)
  return { stream: first.stream, expectedRevision: first.expectedRevision, events }
}

/** Bytes an event takes, about: its texts, and what stands beside them. */
export const sizeOf = (event: SealedEvent): number => {
  const { data, metadata } = textsOf(event)
  return Buffer.byteLength(data) + Buffer.byteLength(metadata) + event.type.length + 80
}

/** The revision after which an append goes, as a number: -1 opens a stream. */
export const revisionBefore = ({ expectedRevision }: Append): number => (expectedRevision === 'no_stream' ? -1 : expectedRevision)

/** Where each of several appends ends when the first event of all is at `first`: numbers, counted from there. */
export const lastOf = (appends: readonly Append[]): number[] => {
  let last = -1
  return appends.map(({ events }) => (last += events.length))
}
