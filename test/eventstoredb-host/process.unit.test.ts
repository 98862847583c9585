import { spawn, type ChildProcess } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLog, startHost } from './host.ts'
import { collect, connect, event, failure, newStream, pause, put, times, unary, until } from './support.ts'
import { runTypeScript } from '../support/node.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventstoredb-host-'))
})
afterAll(() => rm(folder, { recursive: true }))

const ids = async (client: EventStoreDBClient): Promise<(string | undefined)[]> => (await collect(client.readAll())).map((one) => one.event?.id)

describe('a log in a file', () => {
  it('is there again after a restart, positions and all, and an append from before is answered as the first time', async () => {
    const file = join(folder, 'restart.log')
    const first = await startHost({ file })
    const before = connect(first.url)
    const [stream, soft, hard] = [newStream(), newStream(), newStream()]
    const events = times(3, () => event({ text: '你好' }, { metadata: { by: 'me' } }))
    const answer = await before.appendToStream(stream, events, { ...unary, expectedRevision: 'no_stream' })
    for (const one of [soft, hard]) await put(first.log, one)
    await before.deleteStream(soft)
    await before.tombstoneStream(hard)
    const all = await collect(before.readAll())
    await before.dispose()
    await first.stop()

    const second = await startHost({ file })
    const after = connect(second.url)
    expect(await collect(after.readAll())).toEqual(all)
    expect(await after.appendToStream(stream, events, { ...unary, expectedRevision: 'no_stream' })).toEqual(answer)
    expect(await after.appendToStream(soft, [event()], { ...unary, expectedRevision: 'no_stream' })).toMatchObject({ nextExpectedRevision: 1n })
    expect(await failure(collect(after.readStream(hard)))).toMatchObject({ type: 'stream-deleted' })
    const positions = second.log.records.map((record) => record.position)
    expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b))
    await after.dispose()
    await second.stop()
  })

  it('forgets at a restart which ids were appended with any revision', async () => {
    const file = join(folder, 'any.log')
    const same = event()
    for (const revision of [0n, 1n]) {
      const host = await startHost({ file })
      const client = connect(host.url)
      expect(await client.appendToStream('thing-any', [same], { ...unary, expectedRevision: 'any' })).toMatchObject({ nextExpectedRevision: revision })
      await client.dispose()
      await host.stop()
    }
  })

  it('has what was in flight when the server stopped, although nobody was told', async () => {
    const file = join(folder, 'flight.log')
    const first = await startHost({ file, appendDelayMs: 60_000 })
    const client = connect(first.url)
    const events = [event()]
    const outcome = failure(client.appendToStream('thing-flight', events, { ...unary, expectedRevision: 'no_stream' }))
    await pause(200)
    await first.stop()
    expect((await outcome).code).toBe(14)
    await client.dispose()
    const second = await startHost({ file })
    const after = connect(second.url)
    expect(await collect(after.readStream('thing-flight'))).toHaveLength(1)
    expect(await after.appendToStream('thing-flight', events, { ...unary, expectedRevision: 'no_stream' })).toMatchObject({ nextExpectedRevision: 0n })
    expect(await collect(after.readStream('thing-flight'))).toHaveLength(1)
    await after.dispose()
    await second.stop()
  })

  it('of which the end is not whole loses only that: it was never acknowledged', async () => {
    const file = join(folder, 'torn.log')
    const log = createLog({ file })
    await put(log, 'thing-1')
    const { size } = await stat(file)
    await put(log, 'thing-2', 2)
    log.close()
    const whole = await readFile(file)
    for (const length of [size + 1, size + 3, size + 40, whole.length - 1]) {
      await truncate(file, 0)
      await appendFile(file, whole.subarray(0, length))
      const torn = createLog({ file })
      expect(torn.view('thing-1').kind).toBe('stream')
      expect(torn.view('thing-2').kind).toBe('none')
      await put(torn, 'thing-3')
      torn.close()
      const next = createLog({ file })
      expect(next.view('thing-3').kind).toBe('stream')
      next.close()
    }
  })
})

/** The host in a process of its own, and its lines one by one. */
const launch = async (...options: string[]) => {
  const child: ChildProcess = spawn(process.execPath, [...runTypeScript, 'test/eventstoredb-host/main.ts', ...options], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  if (!child.stdout || !child.stderr) throw new Error('the process has no output')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => {
    const next = await lines.next()
    return next.done === true ? '' : String(next.value)
  }
  let complaint = ''
  child.stderr.on('data', (text) => {
    complaint += String(text)
  })
  const tell = (text: string): Promise<string> => {
    child.stdin?.write(`${text}\n`)
    return line()
  }
  return { child, ended, line, tell, complaint: () => complaint, url: async () => /esdb:\S+/.exec(await line())?.[0] ?? '' }
}

describe('the host in a process of its own', () => {
  it('killed while writers go on has every acknowledged append once, at the same position, when it is back', async () => {
    const file = join(folder, 'killed.log')
    let host = await launch('--file', file)
    const client = connect(await host.url())
    const acknowledged = new Map<string, bigint | undefined>()
    let writing = true
    const writers = times(8, async () => {
      const stream = newStream()
      for (let revision = -1n; writing; revision += 1n) {
        const written = event()
        const answer = await client.appendToStream(stream, [written], { expectedRevision: revision < 0n ? 'no_stream' : revision }).catch(() => undefined)
        if (!answer) return
        acknowledged.set(written.id, answer.position?.commit)
      }
    })
    await until(() => acknowledged.size > 100)
    host.child.kill('SIGKILL')
    writing = false
    await Promise.all(writers)
    await client.dispose()
    expect((await host.ended).signal).toBe('SIGKILL')

    host = await launch('--file', file)
    const reader = connect(await host.url())
    const found = new Map((await collect(reader.readAll())).map((one) => [one.event?.id, one.event?.position.commit]))
    expect([...acknowledged].filter(([id, position]) => found.get(id) !== position)).toEqual([])
    expect(new Set(await ids(reader)).size).toBe(found.size)
    await reader.dispose()
    host.child.kill('SIGTERM')
    expect(await host.ended).toEqual({ code: 0, signal: null })
  })

  it('takes faults as lines, says what is wrong with one it cannot take, and ends when its input does', async () => {
    const host = await launch('--append-delay', '5')
    const reader = connect(await host.url())
    await ids(reader)
    expect(await host.tell('notReady on')).toBe('ok notReady')
    expect(await failure(ids(reader))).toMatchObject({ message: expect.stringContaining('Server Is Not Ready') })
    expect(await host.tell('notReady off')).toBe('ok notReady')
    expect(await host.tell('answerLate 50')).toBe('ok answerLate')
    expect(await host.tell('notLeader 127.0.0.1 2113')).toBe('ok notLeader')
    expect(await host.tell('notLeader')).toBe('ok notLeader')
    expect(await host.tell('answerLate soon')).toBe('error ms must be a whole number, not "soon"')
    expect(await host.tell('explode')).toMatch(/^error there is no fault "explode"; there are dropConnections, /)
    await reader.dispose()
    host.child.stdin?.end()
    expect(await host.ended).toEqual({ code: 0, signal: null })
  })

  it('says how it is used, and what is wrong with an option or a port', async () => {
    const other = await startHost()
    const [help, wrong, taken] = [await launch('--help'), await launch('--prot', '1'), await launch('--port', String(other.port))]
    expect(await help.line()).toContain('behaves like EventStoreDB 23.10')
    expect((await help.ended).code).toBe(0)
    expect((await wrong.ended).code).toBe(2)
    expect(wrong.complaint()).toContain('--prot')
    expect((await taken.ended).code).toBe(1)
    expect(taken.complaint()).toMatch(/EADDRINUSE.*\n$/)
    await other.stop()
  })
})
