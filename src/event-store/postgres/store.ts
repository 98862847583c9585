import type { Pool } from 'pg'
import { EventStoreUnavailable, type EventStore } from '../port.ts'
import { makeAppender } from './append.ts'
import { isConnectionError, reaching } from './connection.ts'
import { makeReader } from './read.ts'
import { makeReceipts } from './receipts.ts'
import { makeSubscriptions } from './subscribe.ts'

/** The event store on Postgres: the embedded default, and single-machine production. */
export const makePostgresEventStore = (options: { connectionString: string; pool: Pool; timeoutMs?: number }): EventStore => {
  const { connectionString, pool } = options
  const reader = makeReader(pool)
  const receipts = makeReceipts(pool)
  const appender = makeAppender({ connectionString, timeoutMs: options.timeoutMs ?? 10_000, findReceipt: receipts.find })
  const subscriptions = makeSubscriptions(connectionString, reader.readBatch)

  async function* reachingAll<T>(items: AsyncIterable<T>): AsyncIterable<T> {
    try {
      yield* items
    } catch (error) {
      throw isConnectionError(error) ? new EventStoreUnavailable('the log is out of reach', { cause: error }) : error
    }
  }

  return {
    append: appender.append,
    appendTogether: appender.appendTogether,
    readStream: reader.readStream,
    readAll: (read) => reachingAll(reader.readAll(read)),
    subscribe: subscriptions.subscribe,
    eventAt: (position) => reaching(reader.eventAt(position)),
    head: () => reaching(reader.head()),
    receipts: {
      find: (commandId) => reaching(receipts.find(commandId)),
      record: (receipt, attempt) => reaching(receipts.record(receipt, attempt)),
      recordAttempt: (attempt) => reaching(receipts.recordAttempt(attempt)),
    },
    close: async () => {
      await Promise.all([appender.close(), subscriptions.close()])
    },
  }
}
