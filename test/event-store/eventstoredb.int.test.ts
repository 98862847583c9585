import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import { startHost } from '../eventstoredb-host/host.ts'
import { makeDatabase } from '../support/database.ts'
import { eventStoreContract } from './contract.ts'

eventStoreContract('the EventStoreDB test host', async () => {
  const database = await makeDatabase()
  const host = await startHost()
  const make = () => makeEventStoreDbEventStore({ url: host.url, pool: database.pool })
  const store = make()
  return {
    store,
    cutConnections: async () => host.faults.dropConnections(),
    reopen: async () => make(),
    close: async () => {
      await store.close()
      await host.stop()
      await database.drop()
    },
  }
})
