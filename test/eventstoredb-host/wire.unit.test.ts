/** What the Node client cannot ask for, asked over the wire as other clients do. */
import { randomUUID } from 'node:crypto'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { credentials } from '@grpc/grpc-js'
import empty from 'google-protobuf/google/protobuf/empty_pb.js'
import timestamp from 'google-protobuf/google/protobuf/timestamp_pb.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type EventStoreDbHost } from './host.ts'
import { streamIdentifier, streamName } from './record.ts'
import { newStream, pause, put, times, until } from './support.ts'

type Response = InstanceType<typeof streams.BatchAppendResp>

let host: EventStoreDbHost
let client: StreamsClient
beforeAll(async () => {
  host = await startHost({ copyTimeoutMs: 150 })
  client = new StreamsClient(`127.0.0.1:${host.port}`, credentials.createInsecure())
})
afterAll(async () => {
  client.close()
  await host.stop()
})

const uuid = (text: string) => {
  const id = new shared.UUID()
  id.setString(text)
  return id
}

const message = (id: string = randomUUID(), bytes = 1) => {
  const proposed = new streams.BatchAppendReq.ProposedMessage()
  proposed.setId(uuid(id))
  proposed.getMetadataMap().set('type', 'Noted').set('content-type', 'application/json')
  proposed.setData(Buffer.alloc(bytes, '1'))
  return proposed
}

const part = (correlation: string, more: { stream?: string; deadline?: Date; messages?: ReturnType<typeof message>[]; final?: boolean }) => {
  const request = new streams.BatchAppendReq()
  request.setCorrelationId(uuid(correlation))
  if (more.stream !== undefined) {
    const options = new streams.BatchAppendReq.Options()
    options.setStreamIdentifier(streamIdentifier(more.stream))
    options.setNoStream(new empty.Empty())
    options.setDeadline(timestamp.Timestamp.fromDate(more.deadline ?? new Date(Date.now() + 5_000)))
    request.setOptions(options)
  }
  request.setProposedMessagesList(more.messages ?? [])
  request.setIsFinal(more.final ?? false)
  return request
}

const batch = () => {
  const call = client.batchAppend()
  const answers: Response[] = []
  let failed: Error | undefined
  let ended = false
  call.on('data', (response: Response) => answers.push(response))
  call.on('error', (error) => {
    failed = error
  })
  call.on('end', () => {
    ended = true
  })
  const errors = (): string[] => answers.map((answer) => answer.getError()?.getMessage() ?? 'success')
  return { call, answers, errors, failed: () => failed, ended: () => ended }
}

describe('a batch append', () => {
  it('may come in several requests with one correlation id, mixed with others', async () => {
    const { call, answers, ended } = batch()
    const [one, other] = [randomUUID(), randomUUID()]
    const stream = newStream()
    call.write(part(one, { stream, messages: times(2, () => message()) }))
    call.write(part(other, { stream: newStream(), messages: [message()], final: true }))
    call.write(part(one, { messages: [message()] }))
    call.write(part(one, { messages: [message()], final: true }))
    await until(() => answers.length === 2)
    const done = answers.find((answer) => answer.getCorrelationId()?.getString() === one)
    expect(done?.getSuccess()?.getCurrentRevision()).toBe('3')
    expect(streamName(done?.getStreamIdentifier())).toBe(stream)
    call.end()
    await until(ended)
  })

  it('whose deadline has passed already times out', async () => {
    const { call, answers, errors } = batch()
    call.write(part(randomUUID(), { stream: newStream(), deadline: new Date(Date.now() - 10), messages: [message()], final: true }))
    await until(() => answers.length === 1)
    expect(errors()).toEqual(['Timeout'])
    call.end()
  })

  it('whose deadline passes before its last event has come times out, and what comes later is ignored', async () => {
    const { call, answers, errors } = batch()
    const correlation = randomUUID()
    const stream = newStream()
    call.write(part(correlation, { stream, deadline: new Date(Date.now() + 60), messages: [message()] }))
    await until(() => answers.length === 1)
    expect(errors()).toEqual(['Timeout'])
    call.write(part(correlation, { messages: [message()], final: true }))
    await pause(50)
    expect(answers).toHaveLength(1)
    expect(host.log.view(stream)).toEqual({ kind: 'none' })
    call.end()
  })

  it('waits for its last event no longer than the server does, whatever its deadline', async () => {
    const { call, answers, errors } = batch()
    const started = performance.now()
    call.write(part(randomUUID(), { stream: newStream(), messages: [message()] }))
    await until(() => answers.length === 1)
    expect(performance.now() - started).toBeGreaterThan(130)
    expect(errors()).toEqual(['Timeout'])
    call.end()
  })

  it('that grows too large over several requests is refused once', async () => {
    const { call, answers, errors } = batch()
    const correlation = randomUUID()
    call.write(part(correlation, { stream: newStream(), messages: [message(randomUUID(), 700_000)] }))
    call.write(part(correlation, { messages: [message(randomUUID(), 700_000)] }))
    call.write(part(correlation, { messages: [message()], final: true }))
    await until(() => answers.length === 1)
    await pause(200)
    expect(errors()).toEqual(['MaximumAppendSizeExceeded'])
    call.end()
  })

  it('with an id that is no uuid is a bad request, and times out as well: two answers for one append', async () => {
    const { call, answers, errors } = batch()
    call.write(part(randomUUID(), { stream: newStream(), messages: [message('none')], final: true }))
    await until(() => answers.length === 2)
    expect(errors()).toEqual(['BadRequest', 'Timeout'])
    call.end()
  })

  it('is answered before the call ends, also when the caller has said that nothing more comes', async () => {
    host.faults.delayAppends(60)
    const { call, errors, ended } = batch()
    call.write(part(randomUUID(), { stream: newStream(), messages: [message()], final: true }))
    call.end()
    await until(ended)
    host.faults.delayAppends(0)
    expect(errors()).toEqual(['success'])
  })
})

describe('a filtered read of $all', () => {
  const read = async (shape: { backwards?: boolean; prefix?: string; type?: string; count?: number; max?: number }): Promise<string[]> => {
    const expression = new streams.ReadReq.Options.FilterOptions.Expression()
    if (shape.prefix !== undefined) expression.setPrefixList([shape.prefix])
    else expression.setRegex(`^${shape.type}$`)
    const filter = new streams.ReadReq.Options.FilterOptions()
    if (shape.prefix === undefined) filter.setEventType(expression)
    else filter.setStreamIdentifier(expression)
    if (shape.max === undefined) filter.setCount(new shared.Empty())
    else filter.setMax(shape.max)
    const all = new streams.ReadReq.Options.AllOptions()
    if (shape.backwards) all.setEnd(new shared.Empty())
    else all.setStart(new shared.Empty())
    const option = new streams.ReadReq.Options.UUIDOption()
    option.setString(new shared.Empty())
    const options = new streams.ReadReq.Options()
    options.setAll(all)
    options.setFilter(filter)
    options.setUuidOption(option)
    options.setCount(String(shape.count ?? 1_000_000))
    options.setReadDirection(shape.backwards ? 1 : 0)
    const request = new streams.ReadReq()
    request.setOptions(options)
    const names: string[] = []
    const call = client.read(request)
    call.on('data', (response: InstanceType<typeof streams.ReadResp>) => names.push(`${streamName(response.getEvent()?.getEvent()?.getStreamIdentifier())}@${response.getEvent()?.getEvent()?.getStreamRevision()}`))
    await new Promise((resolve, reject) => call.on('end', resolve).on('error', reject))
    return names
  }

  it('gives what matches, in either direction, and as many as asked for', async () => {
    const stream = newStream('filtered')
    await put(host.log, stream, 2, { type: 'First' })
    await put(host.log, newStream(), 50)
    await put(host.log, stream, 2, { type: 'Second' })
    const names = times(4, (revision) => `${stream}@${revision}`)
    expect(await read({ prefix: 'filtered-' })).toEqual(names)
    expect(await read({ prefix: 'filtered-', max: 3 })).toEqual(names)
    expect(await read({ prefix: 'filtered-', backwards: true })).toEqual(names.toReversed())
    expect(await read({ type: 'Second' })).toEqual(names.slice(2))
    expect(await read({ prefix: 'filtered-', count: 3 })).toEqual(names.slice(0, 3))
  })
})
