import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventStoreUnavailable, type EventStore } from '../../src/event-store/port.ts'
import { makeCertificate } from '../eventstoredb-host/certificate.ts'
import { createLog, startHost, type EventStoreDbHost, type Member } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { collect, follow, makeReceipt, makeWriter, newStream, readLog, times, until } from './contract.ts'
import { closeAll, expectReceipts, expectStored, keepWriting, openStore, pause } from './eventstoredb-support.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

/** Two nodes with one log, of which one leads; both tell so by gossip. */
const openCluster = async () => {
  const log = createLog()
  const nodes: EventStoreDbHost[] = []
  let leading = 0
  const members = (): Member[] => nodes.map(({ port }, index) => ({ host: '127.0.0.1', port, state: index === leading ? 'leader' : 'follower' }))
  for (let number = 0; number < 2; number += 1) nodes.push(await startHost({ log, members }))
  const lead = (number: number) => {
    leading = number
    const leader = nodes[number]
    for (const node of nodes) node.faults.notLeader(leader && node !== leader ? { host: '127.0.0.1', port: leader.port } : null)
  }
  lead(0)
  return { nodes, lead, hosts: () => nodes.map(({ port }) => `127.0.0.1:${port}`) }
}

describe.concurrent('when the leader of a cluster changes', () => {
  const urls: [string, (hosts: string[]) => string][] = [
    ['all nodes are named', (hosts) => `esdb://${hosts.join(',')}?tls=false&nodePreference=leader`],
    ['the cluster is discovered', ([first]) => `esdb+discover://${first}?tls=false`],
    ['the cluster is discovered under its later name', ([, second]) => `kurrentdb+discover://${second}?tls=false&nodePreference=leader`],
    ['one node is named, that leads no more', ([first]) => `esdb://${first}?tls=false`],
    ['one node is named, that leads later', ([, second]) => `esdb://${second}?tls=false`],
  ]
  it.each(urls)('appends, reads and subscribers move over, and nothing is there twice: %s', async (_name, url) => {
    const cluster = await openCluster()
    const store = openStore({ url: url(cluster.hosts()) }, database)
    const subscriber = follow(store, { after: 0n })
    const writers = keepWriting(store, 6)
    for (const leader of [1, 0, 1]) {
      await writers.more(20)
      cluster.lead(leader)
      // Also one that says so only once appends are under way.
      await writers.more(20)
      expect(await store.head()).toBeGreaterThan(0n)
    }
    const told = await writers.stop()
    const events = await expectStored(store, told)
    await expectReceipts(store, told)
    await subscriber.reached(events.at(-1)?.position ?? 0n)
    await subscriber.stop()
    expect(subscriber.events().map(({ id }) => id)).toEqual(events.map(({ id }) => id))
    await closeAll([store], ...cluster.nodes)
  })

  it('because it is gone, what names all nodes goes on with the one that is left', async () => {
    const cluster = await openCluster()
    const store = openStore({ url: `esdb://${cluster.hosts().join(',')}?tls=false` }, database)
    const subscriber = follow(store, { after: 0n })
    const writers = keepWriting(store, 6)
    await writers.more(30)
    await cluster.nodes[0]?.stop()
    await pause(200)
    cluster.lead(1)
    await writers.more(30)
    const told = await writers.stop()
    const events = await expectStored(store, told)
    await subscriber.reached(events.at(-1)?.position ?? 0n)
    await subscriber.stop()
    expect(subscriber.events()).toHaveLength(events.length)
    await closeAll([store], ...cluster.nodes)
  })
})

describe.concurrent('over TLS', () => {
  let folder: string
  let host: EventStoreDbHost
  const PASSWORD = 'sesame-4711'
  const url = (user: string) => `esdb://${user}127.0.0.1:${host.port}?tls=true&tlsCAFile=${join(folder, 'ca.crt')}`
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kehu-eventstoredb-'))
    const tls = makeCertificate()
    await writeFile(join(folder, 'ca.crt'), tls.cert)
    await writeFile(join(folder, 'other.crt'), makeCertificate().cert)
    host = await startHost({ tls, credentials: { username: 'kehu', password: PASSWORD } })
  })
  afterAll(async () => {
    await host.stop()
    await rm(folder, { recursive: true })
  })

  it('with the right credentials all works', async () => {
    const store = openStore({ url: url(`kehu:${PASSWORD}@`) }, database)
    const subscriber = follow(store, { after: await store.head() })
    const receipt = makeReceipt([])
    const { request, result } = await makeWriter(store).append([{}, {}], receipt)
    expect(await collect(store.readStream(request.stream))).toHaveLength(2)
    if (result.outcome === 'appended') await subscriber.reached(result.position)
    host.faults.dropConnections()
    expect((await makeWriter(store).append()).result.outcome).toBe('appended')
    await until(() => subscriber.events().length === 3)
    await subscriber.stop()
    await closeAll([store])
  })

  /** Everything that may be asked of a store fails in words an operator can act on. */
  const refusals = async (store: EventStore): Promise<string[]> => {
    const asked = [store.head(), store.eventAt(1n), readLog(store, { after: 0n }), collect(store.readStream(newStream())), makeWriter(store).append(), makeWriter(store).append([{}], makeReceipt([]))]
    const messages: string[] = []
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
      if (outcome.status === 'rejected') messages.push(String(outcome.reason))
    }
    return messages
  }

  it.each([['wrong', 'kehu:guess-0815@'], ['no', '']])('with %s credentials the store is unavailable, and says that it is for those', async (_name, user) => {
    const store = openStore({ url: url(user) }, database, { timeoutMs: 1500 })
    const messages = await refusals(store)
    expect(messages.filter((message) => !/credential|authenticat|denied|not let/i.test(message))).toEqual([])
    expect(messages.filter((message) => /guess|0815|sesame/.test(message))).toEqual([])
    await closeAll([store])
  })

  it('with a certificate that is not trusted it is unavailable, and says nothing of a password', async () => {
    const store = openStore({ url: url(`kehu:${PASSWORD}@`).replace('ca.crt', 'other.crt') }, database, { timeoutMs: 1500 })
    expect((await refusals(store)).filter((message) => message.includes(PASSWORD))).toEqual([])
    await closeAll([store])
  })
})

describe.concurrent('a server that is not there', () => {
  it('is unavailable to all who ask, in the time one may wait, and does not hold up closing', async () => {
    const gone = await startHost()
    await gone.stop()
    const store = openStore(gone, database, { timeoutMs: 500 })
    const subscriber = follow(store, { after: 0n })
    const asked = times(3, () => makeWriter(store).append([{}], makeReceipt([])))
    for (const outcome of await Promise.allSettled(asked)) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
    const started = performance.now()
    await store.close()
    await subscriber.ended
    expect(performance.now() - started).toBeLessThan(1000)
    expect(subscriber.batches).toEqual([])
  })
})
