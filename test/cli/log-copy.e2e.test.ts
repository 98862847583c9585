import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { copyLog, type CopyOptions } from '../../src/cli/log/copy.ts'
import { readConfig } from '../../src/config.ts'
import { emptyHead } from '../../src/event-store/chain.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { EventStore, RecordedEvent } from '../../src/event-store/port.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { serve, type Service } from '../../src/main.ts'
import { projections } from '../../src/projections/all.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import { expectWhole, makeEvents, readLog } from '../event-store/contract.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { enter, individual, itemsOf, organise, refused } from '../http/people.ts'
import { accepted, startService, until, type TestService } from '../support/http.ts'

const person = { name: '诸葛亮', mobile: '+8613612345678', contact: '黄月英' }

describe('a service whose log has moved to EventStoreDB and back', () => {
  let service: TestService
  let host: EventStoreDbHost
  let there: EventStore
  /** What was entered and answered at the first place. */
  let before: { customerId: string; position: string; text: string; events: RecordedEvent[]; placeId: string }
  const running = new Set<Service>()

  beforeAll(async () => {
    service = await startService()
    host = await startHost()
    there = makeEventStoreDbEventStore({ url: host.url, pool: service.database.pool, prefix: 'north' })
    await organise(service, { north: null }, { zhao: 'north' })
    const zhao = service.as('clerk', 'zhao')
    const body = individual({ name: person.name, identifiers: [{ kind: 'mobile', value: person.mobile }], contacts: [{ name: person.contact }] })
    const answer = await zhao.send('create-customer', body, { key: 'the first' })
    const { customerId, position } = accepted(answer)
    // Unlike each other: no case is opened beside, while the log is looked at.
    for (const name of ['赵一鸣', '钱多多', '孙悟空', '李时珍', '周公瑾']) await enter(zhao, { name, identifiers: [] })
    accepted(await zhao.send('change-stage', { customerId, to: 'lost' }))
    before = { customerId, position, text: answer.text, events: await service.log.events(), placeId: service.core.placeId }
  })
  afterAll(async () => {
    for (const one of running) await one.stop()
    await there.close()
    await host.stop()
    await service.close()
  })

  const inEventStore = () => ({ EVENTSTORE_URL: host.url, EVENTSTORE_PREFIX: 'north' })
  const start = async (env: Record<string, string>): Promise<Service> => {
    const started = await serve(readConfig({ ...service.environment, ...env }), () => undefined)
    running.add(started)
    await until(async () => (await (await fetch(`${started.url}/health/ready`)).text()).split('"state":').slice(1).every((rest) => rest.startsWith('"live"')))
    return started
  }
  /** What the command prints. */
  const copy = async (options: Partial<CopyOptions>, env: Record<string, string> = inEventStore()): Promise<string> => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined)
    try {
      await copyLog(readConfig({ ...service.environment, ...env }), { from: 'postgres', to: 'eventstore', ...options })
      return printed.mock.calls.map(([line]) => String(line)).join('\n')
    } finally {
      printed.mockRestore()
    }
  }
  const content = (events: readonly RecordedEvent[]) => events.map(({ id, type, data, metadata, stream, revision }) => ({ id, type, data, metadata, stream, revision }))

  it('is not copied while it runs, but ahead, and holds all of it then, personal data sealed', async () => {
    await expect(copy({})).rejects.toThrow('A service is running: stop it first')
    expect(await readLog(there, { after: 0n })).toEqual([])
    expect(await copy({ whileRunning: true })).toMatch(/^From the Postgres of this installation to esdb:\/\/127\.0\.0\.1:\d+, prefix north\nCopied ahead: \d+ event\(s\)\. Stop the service/)
    expect(content(await readLog(there, { after: 0n }))).toEqual(content(before.events))
    expect(await copy({ verifyOnly: true })).toContain('are in the target, unchanged; the copy is not completed yet')
    await enter(service.as('clerk', 'zhao'), { name: '吴承恩', identifiers: [] })
    await expect(copy({ verifyOnly: true })).rejects.toThrow(`The target has the first ${before.events.length} event(s) of the source and lacks the rest`)

    await service.stop()
    const events = await service.log.events()
    const printed = await copy({})
    expect(printed).toContain(`The target has the first ${before.events.length} event(s) of them already: going on from there`)
    expect(printed).toContain(`${events.length} event(s) copied and compared: ids, order, content and every hash chain are the same.`)
    expect(printed).toMatch(/\nNext: set EVENTSTORE_URL to its connection string and EVENTSTORE_PREFIX to north, and start the service: read models are built anew by themselves;[^\n]+$/)
    const copied = await readLog(there, { after: 0n })
    expect(content(copied).slice(0, -1)).toEqual(content(events))
    expect(copied.at(-1)).toMatchObject({ stream: 'system-log', type: 'LogCopied', revision: 1, data: { fromPlaceId: before.placeId }, metadata: { actor: 'operator' } })
    expectWhole(copied)
    for (const personal of Object.values(person)) expect(JSON.stringify(content(copied))).not.toContain(personal)
  })

  it('says, asked again, that the copy is complete, and writes nothing', async () => {
    const length = (await readLog(there, { after: 0n })).length
    for (const options of [{}, { verifyOnly: true }, { whileRunning: true }]) expect(await copy(options)).toContain('The copy is complete: the')
    expect(await readLog(there, { after: 0n })).toHaveLength(length)
  })

  it('goes on there as it was: customers, answers to keys, identifiers, read models', async () => {
    const started = await start(inEventStore())
    expect(started.core.placeId).not.toBe(before.placeId)
    expect(started.core.earlierPlaces).toEqual([before.placeId])
    const zhao = service.as('clerk', 'zhao', started.url)
    const detail = await zhao.get(`/customers/${before.customerId}`)
    expect(detail.json).toMatchObject({ name: person.name, stage: 'lost', identifiers: [{ value: '+8613612345678' }], contacts: [{ name: person.contact }] })
    expect(itemsOf(await zhao.get(`/customers?identifier=mobile:13612345678`))).toMatchObject([{ customerId: before.customerId }])

    const again = await zhao.send('create-customer', individual({ name: person.name, identifiers: [{ kind: 'mobile', value: person.mobile }], contacts: [{ name: person.contact }] }), { key: 'the first' })
    expect({ ...accepted(again), position: '' }).toEqual({ ...JSON.parse(before.text), position: '' })
    refused(await zhao.send('create-customer', individual({ identifiers: [{ kind: 'mobile', value: person.mobile }] })), 409, 'duplicate-customer')

    // A position of the earlier place counts as reached.
    expect((await zhao.get(`/customers/${before.customerId}?after=${before.position}`)).status).toBe(200)
    const made = await enter(zhao, { name: '新地方的' })
    expect((await zhao.get(`/customers/${made.customerId}?after=${made.position}`)).json).toMatchObject({ name: '新地方的' })

    for (const projection of projections) {
      const { db, runtime, placeId, analystRole } = started.core
      expect(await compareWithReplay({ db, store: runtime.store, codec: runtime.codec, placeId, analystRole }, projection, () => undefined)).toEqual([])
    }
    // A log that is in use is still a complete copy of what it came from.
    expect(await copy({})).toContain('There is nothing to do.')
    await started.stop()
    running.delete(started)
  })

  it('is not started on the log it left, and goes back to it by copying', async () => {
    await expect(serve(readConfig({ ...service.environment, EVENTSTORE_URL: '', EVENTSTORE_PREFIX: '' }), () => undefined)).rejects.toThrow('no copy of it')
    const printed = await copy({ from: 'eventstore', to: 'postgres' })
    expect(printed).toContain('Next: unset EVENTSTORE_URL and EVENTSTORE_PREFIX, and start the service')
    const back = await service.log.events()
    expect(content(back).slice(0, -1)).toEqual(content(await readLog(there, { after: 0n })))
    expectWhole(back)
    expect(back.map(({ position }) => Number(position))).toEqual(back.map((_, index) => index + 1))

    const started = await start({ EVENTSTORE_URL: '', EVENTSTORE_PREFIX: '' })
    expect(started.core.earlierPlaces).toHaveLength(2)
    const auditor = service.as('auditor', 'auditor', started.url)
    expect(itemsOf(await auditor.get('/customers?q=新地方的'))).toHaveLength(1)
    refused(await service.as('clerk', 'zhao', started.url).send('create-customer', individual({ identifiers: [{ kind: 'mobile', value: person.mobile }] })), 409, 'duplicate-customer')

    // The first move, asked for once more, is told apart from a copy of what there is now.
    await started.stop()
    running.delete(started)
    expect(await copy({})).toContain('copied and compared')
  })

  it('tells of a source that was written to after it was copied', async () => {
    const old = makePostgresEventStore({ connectionString: service.database.url, pool: service.database.pool })
    await old.append({ stream: 'customer-late', expectedRevision: 'no_stream', events: makeEvents('customer-late', emptyHead('customer-late')).events })
    await old.close()
    await expect(copy({})).rejects.toThrow(/^The copy was completed after \d+ event\(s\), and the source has been written to since \(Noted on customer-late\): what was written there is not in the target$/)
  })
})
