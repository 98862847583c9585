import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { EventStore, RecordedEvent } from '../../src/event-store/port.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { startHost } from '../eventstoredb-host/host.ts'
import type { TestDatabase } from './database.ts'
import './event-stores.ts'

/** An empty log of one's own, kept in what this run tests. */
export type TestLog = {
  /** What a service needs in its environment to find it; Postgres is the database's. */
  environment: Record<string, string>
  /** One more store on it, as another process has one. */
  open: () => EventStore
  /** All that is in it, in order. */
  events: () => Promise<RecordedEvent[]>
  close: () => Promise<void>
}

export const makeLog = async ({ url: connectionString, pool }: TestDatabase): Promise<TestLog> => {
  const kept = inject('eventStore')
  const host = kept.kind === 'host' ? await startHost() : undefined
  const url = kept.kind === 'server' ? kept.url : host?.url
  const prefix = kept.kind === 'server' ? `t${randomBytes(6).toString('hex')}` : undefined
  const open = (): EventStore => (url === undefined ? makePostgresEventStore({ connectionString, pool }) : makeEventStoreDbEventStore({ url, pool, ...(prefix && { prefix }) }))
  let reader: EventStore | undefined
  return {
    environment: { EVENTSTORE_URL: url ?? '', EVENTSTORE_PREFIX: prefix ?? '' },
    open,
    events: async () => {
      reader ??= open()
      const events: RecordedEvent[] = []
      for await (const batch of reader.readAll({ after: 0n })) events.push(...batch.events)
      return events
    },
    close: async () => {
      await reader?.close()
      await host?.stop()
    },
  }
}
