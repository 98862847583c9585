import type { Pool } from 'pg'
import type { EventStore } from '../port.ts'
import { makeAppender } from './append.ts'
import { makeConnection } from './connection.ts'
import { makeNames } from './names.ts'
import { makeReader } from './read.ts'
import { makeReceipts } from './receipts.ts'
import { makeSubscriptions } from './subscribe.ts'

/**
 * The event store on EventStoreDB (KurrentDB): the events there, the receipts in Postgres, beside the keyring and the
 * read models.
 */
export const makeEventStoreDbEventStore = (options: { url: string; prefix?: string; pool: Pool; timeoutMs?: number }): EventStore => {
  const connection = makeConnection(options.url)
  const names = makeNames(options.prefix)
  const timeoutMs = options.timeoutMs ?? 10_000
  const closing = new AbortController()
  const reader = makeReader(connection, names, closing.signal)
  const positionAt = async (stream: string, revision: number) => {
    for await (const event of reader.readStream(stream, { fromRevision: revision, count: 1 })) return event.position
    throw new Error(`${stream} has no revision ${revision}`)
  }
  const appender = makeAppender({ connection, names, timeoutMs, positionAt })
  const receipts = makeReceipts({ pool: options.pool, timeoutMs, append: appender.append, readStream: reader.readStream })
  const subscriptions = makeSubscriptions(connection, names, reader)

  return {
    append: (append) => (append.receipt ? receipts.append({ ...append, receipt: append.receipt }) : appender.append(append)),
    appendTogether: receipts.appendTogether,
    readStream: reader.readStream,
    async *readAll(read) {
      yield* reader.readUpTo(await reader.head(), read)
    },
    subscribe: subscriptions.subscribe,
    eventAt: reader.eventAt,
    head: reader.head,
    receipts: { find: receipts.find, record: receipts.record, recordAttempt: receipts.recordAttempt },
    close: async () => {
      const ended = subscriptions.close()
      // First: what is written down as pending shall still be sent.
      await receipts.close()
      await appender.close()
      closing.abort()
      await ended
      connection.close()
    },
  }
}
