import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { inject } from 'vitest'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import { makeDatabase } from '../support/database.ts'
import '../support/event-stores.ts'
import { appendTogetherContract } from './contract-together.ts'
import { eventStoreContract } from './contract.ts'

/** A way to a server that can be cut: of a single node without TLS. Another is reached directly, and never cut. */
const openWay = async (url: string): Promise<{ url: string; cut: () => void; close: () => Promise<void> }> => {
  const [, host, port = '2113'] = /^(?:esdb|kurrentdb):\/\/([^:/,?@]+)(?::(\d+))?\/?\?.*tls=false/i.exec(url) ?? []
  if (host === undefined) return { url, cut: () => undefined, close: async () => undefined }
  const sockets = new Set<Socket>()
  const cut = () => sockets.forEach((socket) => socket.destroy())
  const proxy = createServer((near) => {
    const far = connect(Number(port), host)
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one)
      one.setNoDelay(true).on('error', () => other.destroy()).on('close', () => {
        sockets.delete(one)
        other.destroy()
      }).pipe(other)
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('the way has no port')
  return {
    url: `esdb://127.0.0.1:${address.port}?tls=false`,
    cut,
    close: () => new Promise((resolve) => {
      proxy.close(() => resolve())
      cut()
    }),
  }
}

const open = async () => {
  const kept = inject('eventStore')
  if (kept.kind !== 'server') throw new Error('this runs on a server only')
  const database = await makeDatabase()
  const prefix = `t${randomBytes(6).toString('hex')}`
  const way = await openWay(kept.url)
  const make = () => makeEventStoreDbEventStore({ url: way.url, prefix, pool: database.pool })
  const store = make()
  return {
    store,
    cutConnections: async () => way.cut(),
    reopen: async () => make(),
    close: async () => {
      await store.close()
      await way.close()
      await database.drop()
    },
  }
}

eventStoreContract('an EventStoreDB server', open)
appendTogetherContract('an EventStoreDB server', open)
