/** Traps of the client that were measured against the real server, and that the host springs as well. */
import { spawn } from 'node:child_process'
import { streamNameFilter, type EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type EventStoreDbHost } from './host.ts'
import { collect, connect, event, failure, newStream, pause, put, unary, until, watch } from './support.ts'

let host: EventStoreDbHost
let client: EventStoreDBClient
beforeAll(async () => {
  host = await startHost()
  client = connect(host.url, '&throwOnAppendFailure=false')
})
afterAll(async () => {
  await client.dispose()
  await host.stop()
})

describe('the client', () => {
  it('told not to throw answers a conflict of a batch append with revision 1, wherever the stream stands', async () => {
    const stream = newStream()
    await put(host.log, stream, 9)
    expect(await client.appendToStream(stream, [event()], { expectedRevision: 'no_stream' })).toEqual({ success: false, nextExpectedRevision: 1n, position: undefined })
    expect(await client.appendToStream(stream, [event()], { ...unary, expectedRevision: 'no_stream' })).toMatchObject({ nextExpectedRevision: 8n })
  })

  it('keeps to no deadline, but on the unary path', async () => {
    const stream = newStream()
    await put(host.log, stream)
    await client.appendToStream(newStream(), [event()], { expectedRevision: 'no_stream' })
    host.faults.freeze()
    const batched = failure(client.appendToStream(stream, [event()], { expectedRevision: 0n, deadline: 50 }))
    const reading = collect(client.readStream(stream, { deadline: 50 }))
    const hasty = failure(client.appendToStream(newStream(), [event()], { ...unary, expectedRevision: 'no_stream', deadline: 50 }))
    expect(await Promise.race([batched, reading, pause(200)])).toBeUndefined()
    expect(await hasty).toMatchObject({ code: 4, type: 'deadline-exceeded' })
    host.faults.thaw()
    expect(await reading).toHaveLength(1)
    // Only the server looks at the deadline of a batched append: it came too late, and is not done.
    expect(await batched).toMatchObject({ type: 'deadline-exceeded' })
    expect(await collect(client.readStream(stream))).toHaveLength(1)
  })

  it('stalls a subscription for ever when a checkpoint is not taken', async () => {
    const own = await startHost()
    const reader = connect(own.url)
    let reached = 0
    const checkpointReached = (): Promise<void> => {
      reached += 1
      return new Promise(() => undefined)
    }
    await put(own.log, newStream('seen'), 100)
    const watching = watch(reader.subscribeToAll({ filter: streamNameFilter({ prefixes: ['seen'], checkpointReached }) }))
    await until(() => reached > 0)
    await pause(50)
    expect(watching.ids.length).toBeLessThan(100)
    expect(watching.error()).toBeUndefined()
    await watching.stop()
    await reader.dispose()
    await own.stop()
  })

  it('disposed while another of the same process appends rejects that append, and ends the process with its answer', async () => {
    const streams = [newStream(), newStream()]
    const script = `
      import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
      const [one, other] = ['${streams.join("', '")}'].map((stream) => {
        const client = EventStoreDBClient.connectionString('${host.url}')
        client.appendToStream(stream, jsonEvent({ type: 'Noted', data: {} }), { expectedRevision: 'no_stream' }).catch((error) => console.log('rejected ' + error.code))
        return client
      })
      process.stdin.once('data', () => other.dispose())
      setTimeout(() => process.exit(3), 10_000)
    `
    host.faults.answerLate(700)
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'pipe' })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => {
      output += String(text)
    })
    await until(() => streams.every((stream) => host.log.view(stream).kind === 'stream'))
    host.faults.answerLate(0)
    child.stdin.write('dispose\n')
    const code = await new Promise((resolve) => child.once('exit', resolve))
    expect(output).toMatch(/rejected 1[^]*rejected 1[^]*TypeError/)
    expect(code).toBe(1)
  })
})
