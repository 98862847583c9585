import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificate } from './certificate.ts'
import { startHost, type EventStoreDbHost } from './host.ts'
import { collect, event, failure, newStream, pause, put, watch } from './support.ts'

let folder: string
let host: EventStoreDbHost
const connectAs = (user: string): EventStoreDBClient =>
  EventStoreDBClient.connectionString(`esdb://${user}127.0.0.1:${host.port}?tls=true&tlsCAFile=${join(folder, 'ca.crt')}`)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventstoredb-host-'))
  const tls = makeCertificate()
  await writeFile(join(folder, 'ca.crt'), tls.cert)
  host = await startHost({ tls, credentials: { username: 'admin', password: 'changeit' } })
})
afterAll(async () => {
  await host.stop()
  await rm(folder, { recursive: true })
})

describe('over TLS, with credentials', () => {
  it('who brings the right ones may append, read and subscribe', async () => {
    expect(host.url).toBe(`esdb://127.0.0.1:${host.port}?tls=true`)
    const client = connectAs('admin:changeit@')
    const stream = newStream()
    expect(await client.appendToStream(stream, [event()], { expectedRevision: 'no_stream' })).toMatchObject({ nextExpectedRevision: 0n })
    expect(await collect(client.readStream(stream))).toHaveLength(1)
    const watching = watch(client.subscribeToAll())
    await watching.caughtUp()
    await watching.stop()
    await client.dispose()
  })

  it('who brings wrong ones is not let in, and who brings none is denied', async () => {
    const stream = newStream()
    await put(host.log, stream)
    const wrong = connectAs('admin:guess@')
    const none = connectAs('')
    const unary = { username: 'admin', password: 'guess' }
    expect(await failure(collect(wrong.readStream(stream)))).toMatchObject({ type: 'access-denied', code: 16 })
    expect(await failure(wrong.appendToStream(stream, [event()], { expectedRevision: 0n, credentials: unary }))).toMatchObject({ type: 'access-denied', code: 16 })
    expect(await failure(wrong.appendToStream(stream, [event()], { expectedRevision: 0n }))).toMatchObject({ type: 'access-denied', code: 16 })
    expect(await failure(collect(none.readStream(stream)))).toMatchObject({ type: 'access-denied', code: 7 })
    expect(await failure(none.appendToStream(stream, [event()], { expectedRevision: 0n }))).toMatchObject({ type: 'access-denied' })
    await wrong.dispose()
    await none.dispose()
  })

  it('a server that is frozen answers nobody, and goes on when it is thawed', async () => {
    const client = connectAs('admin:changeit@')
    const stream = newStream()
    await put(host.log, stream)
    await collect(client.readStream(stream))
    host.faults.freeze()
    const reading = collect(client.readStream(stream))
    const first = await Promise.race([reading, pause(100)])
    host.faults.thaw()
    expect(first).toBeUndefined()
    expect(await reading).toHaveLength(1)
    await client.dispose()
  })
})
