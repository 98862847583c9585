import { randomBytes, randomUUID } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { sha256 } from '../src/event-store/canonical.ts'
import { chain, emptyHead } from '../src/event-store/chain.ts'
import type { Append } from '../src/event-store/port.ts'

/** An event of some 450 bytes to a stream of its own, sealed and chained: what an event store is handed. */
export const makeAppend = (): Append => {
  const stream = `bench-${randomUUID()}`
  const commandId = uuidv7()
  const event = chain(stream, 0, {
    id: uuidv7(), type: 'OwnershipClaimed', data: { ownerId: 'zhao', from: 'pool', note: randomBytes(30).toString('base64') },
    metadata: { schemaVersion: 1, commandId, commandHash: sha256(commandId), actor: 'bench', $correlationId: commandId, $causationId: commandId, recordedAt: new Date().toISOString(), prevHash: emptyHead(stream).hash },
  })
  return { stream, expectedRevision: 'no_stream', events: [event] }
}

export const makeAppends = (count: number): Append[] => Array.from({ length: count }, makeAppend)

/** The same, with what became of its command. */
export const withReceipt = (append: Append): Append => {
  const { commandId = '', commandHash = '', recordedAt = '' } = append.events[0]?.metadata ?? {}
  return { ...append, receipt: { commandId, commandHash, command: 'claim-ownership', streams: [append.stream], status: 200, answer: { commandId, streamId: append.stream, revision: 0 }, recordedAt } }
}
