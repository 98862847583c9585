import { makeMemoryStore } from '../support/memory-store.ts'
import { appendTogetherContract } from './contract-together.ts'
import { eventStoreContract } from './contract.ts'

const open = async () => {
  const store = makeMemoryStore()
  return { store, cutConnections: async () => undefined, close: () => store.close() }
}

eventStoreContract('memory', open)
appendTogetherContract('memory', open)
