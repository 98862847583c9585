import { makeMemoryStore } from '../support/memory-store.ts'
import { eventStoreContract } from './contract.ts'
eventStoreContract('memory', async () => {
  const store = makeMemoryStore()
  return { store, cutConnections: async () => undefined, close: () => store.close() }
})
