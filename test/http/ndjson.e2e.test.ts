import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseLines, startService, until, type BatchAnswer, type TestService } from '../support/http.ts'
import { individual, nextMobile, organise, read } from './people.ts'

const nameOf = (answer: BatchAnswer | undefined) => answer?.answer.type?.replace('/docs/problems/', '') ?? answer?.status

describe('NDJSON at POST /commands', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null }, { zhao: 'north', qian: 'north' })
  })
  afterAll(() => service.close())

  /** A request that is sent piece by piece. */
  const open = async (employee: string) => {
    const token = await service.token('clerk', employee)
    let text = ''
    let broken = false
    const sending = request(`${service.url}/commands`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' } })
    const done = new Promise<void>((resolve) => {
      sending.on('error', () => {
        broken = true
        resolve()
      })
      sending.on('response', (response) => {
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('error', () => (broken = true)).on('close', resolve)
      })
    })
    return { write: (lines: readonly object[]) => sending.write(lines.map((line) => `${JSON.stringify(line)}\n`).join('')), end: () => sending.end(), break: () => sending.destroy(), done, text: () => text, broken: () => broken }
  }

  it('keeps order within a stream, answers in the order of the lines', async () => {
    const zhao = service.as('clerk', 'zhao')
    const customers = ['a', 'b', 'c']
    const lines = [
      ...customers.map((customerId) => ({ command: 'create-customer', key: `make ${customerId}`, body: individual({ customerId }) })),
      ...Array.from({ length: 60 }, (_, index) => ({ command: 'change-profile', key: `change ${index}`, body: { customerId: customers[index % 3], name: `名${index}` } })),
      { command: 'release-ownership', key: 'last', body: { customerId: 'a', reason: '最后' } },
    ]
    const answers = await zhao.batch(lines)
    expect(answers.map((answer) => answer.line)).toEqual(lines.map((_, index) => index + 1))
    expect(answers.map((answer) => answer.key)).toEqual(lines.map((line) => line.key))
    for (const [place, customerId] of customers.entries()) {
      const changes = answers.filter((_, index) => index >= 3 && index < 63 && index % 3 === place)
      expect(changes.map((answer) => answer.answer['revision'])).toEqual(changes.map((_, index) => index + 2))
      expect(await read(service.as('auditor'), customerId, String(changes.at(-1)?.answer['position']))).toMatchObject({ name: `名${57 + place}` })
    }
  })

  it('three hundred changes of one customer are few appends, answered as each by itself; sent again they are answered the same', async () => {
    const zhao = service.as('clerk', 'zhao')
    const changes = (customerId: string) => Array.from({ length: 300 }, (_, index) => ({ command: 'change-profile', key: `${customerId} ${index}`, body: { customerId, name: `名${index - (index % 10 === 9 ? 1 : 0)}` } }))
    for (const customerId of ['together', 'by-itself']) await zhao.send('create-customer', individual({ customerId }))
    const { store } = service.core.runtime
    const appends = [vi.spyOn(store, 'append'), vi.spyOn(store, 'appendTogether')]
    const lines = changes('together')
    const answers = await zhao.batch(lines)
    expect(appends.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBeLessThan(120)
    expect(appends[1]?.mock.calls.length).toBeGreaterThan(0)
    vi.restoreAllMocks()
    const plain = (given: readonly BatchAnswer[]) => given.map(({ status, answer: { events, revision } }) => ({ status, revision, types: Array.isArray(events) ? events.map(({ type }: { type: string }) => type) : [] }))
    const alone: BatchAnswer[] = []
    for (const line of changes('by-itself').slice(0, 30)) alone.push(...(await zhao.batch([line])))
    expect(plain(answers.slice(0, 30))).toEqual(plain(alone))
    // Every tenth is a no-op.
    expect(answers.at(-1)?.answer['revision']).toBe(1 + 270)
    const head = await service.head()
    expect(await zhao.batch(lines)).toEqual(answers)
    expect(await service.head()).toBe(head)
    const events = (await service.log.events()).filter(({ stream }) => stream === 'customer-together')
    for (const { answer } of answers.filter((_, index) => index % 10 !== 9)) expect(String(answer['position']).split('.')[1]).toBe(String(events[Number(answer['revision'])]?.position))
    expect(await read(service.as('auditor'), 'together', String(answers.at(-2)?.answer['position']))).toMatchObject({ name: '名298' })
  })

  it('answers a bad line in its place, naming what is wrong, while the others go on', async () => {
    const good = (key: string) => ({ command: 'create-customer', key, body: individual({ name: '好' }) })
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const cases: [line: unknown, answer: number | string, errors: string[]][] = [
      [good('first'), 201, []],
      ['{"command": "create-customer", "key": "x", "body": {', 'malformed-json', []],
      ['[]', 'invalid-body', ['']],
      [{ command: 'create-customer', body: individual() }, 'invalid-body', ['key']],
      [{ command: 'create-customer', key: '', body: individual() }, 'invalid-body', ['key', 'key']],
      [{ command: 'create-customer', key: 'ключ', body: individual() }, 'invalid-body', ['key']],
      [{ command: 'no-such-command', key: 'x1', body: {} }, 'invalid-body', ['command']],
      [{ command: 'create-customer', key: 'x2', body: [] }, 'invalid-body', ['body']],
      [{ command: 'create-customer', key: 'x3', body: individual(), dryRun: true, extra: 1 }, 'invalid-body', ['dryRun', 'extra']],
      [{ command: 'create-customer', key: 'x4', body: { category: 'individual-retail', nama: '错' } }, 'invalid-body', ['name', 'nama']],
      [{ command: 'create-customer', key: 'x5', body: individual({ name: 'a\u0000b' }) }, 'invalid-body', ['name']],
      [`{"command":"create-customer","key":"x6","body":{"category":"individual-retail","name":"\\ud800"}}`, 'invalid-body', ['name']],
      [`{"command":"create-customer","key":"x7","body":{"category":"individual-retail","name":"深","fields":{"a":${deep}}}}`, 'invalid-body', ['fields/a/0/0']],
      [`{"command":"revise-policy","key":"x8","body":{"policy":"stages","reason":"深","value":{"a":${deep}}}}`, 'role-not-permitted', []],
      [`{"command":"change-profile","key":"x9","body":${deep}}`, 'invalid-body', ['body']],
      [{ command: 'downgrade-tier', key: 'x10', body: { customerId: 'x', to: 'standard', basis: 'correction', evidence: 'x' } }, 'role-not-permitted', []],
      [{ command: 'create-customer', key: 'x11', onBehalfOf: 'qian', body: individual() }, 'role-not-permitted', []],
      [{ command: 'create-customer', key: 'x12', onBehalfOf: '钱', body: individual() }, 'invalid-parameters', ['On-Behalf-Of']],
      [{ command: 'change-profile', key: 'x13', ifMatch: 7, body: { customerId: 'a', name: '晚' } }, 'precondition-failed', []],
      [{ command: 'change-profile', key: 'x14', body: { customerId: 'nobody', name: '无' } }, 'customer-not-found', []],
      [good('last'), 201, []],
    ]
    const answers = await service.as('clerk', 'zhao').batch(cases.map(([line]) => line))
    expect(answers.map((answer) => [answer.line, nameOf(answer)])).toEqual(cases.map(([, expected], index) => [index + 1, expected]))
    for (const [index, [, , paths]] of cases.entries()) {
      const errors: unknown = answers[index]?.answer['errors'] ?? []
      expect([index + 1, errors]).toEqual([index + 1, paths.map((path) => ({ path, message: expect.any(String) }))])
    }
  })

  it('a line over 1 MiB and empty lines leave the others alone; the numbers count every line', async () => {
    const huge = JSON.stringify({ command: 'create-customer', key: 'huge', body: individual({ name: '大'.repeat(400_000) }) })
    const line = (key: string) => JSON.stringify({ command: 'create-customer', key, body: individual() })
    const answers = await service.as('clerk', 'zhao').batch([line('before'), '', '   ', huge, `${line('crlf')}\r`, line('after')])
    expect(answers.map((answer) => [answer.line, answer.key, nameOf(answer)])).toEqual([[1, 'before', 201], [4, null, 'body-too-large'], [5, 'crlf', 201], [6, 'after', 201]])
  })

  it('two thousand mixed lines are all answered; sent again they are answered the same, and nothing is appended', async () => {
    const zhao = service.as('clerk', 'zhao')
    const lines = Array.from({ length: 2000 }, (_, index) => {
      const key = `mixed ${index}`
      const customerId = `mixed-${index - (index % 5)}`
      switch (index % 5) {
        case 0: return { command: 'create-customer', key, body: individual({ customerId, identifiers: index % 10 === 0 ? [{ kind: 'mobile', value: nextMobile() }] : [] }) }
        case 1: return { command: 'change-profile', key, body: { customerId, fields: { hobbies: `爱好${index}` } } }
        case 2: return { command: 'claim-ownership', key, body: { customerId } }
        case 3: return { command: 'change-stage', key, body: { customerId, to: 'dormant' } }
        default: return { command: 'change-stage', key, body: { customerId, to: '?' } }
      }
    })
    const before = await service.head()
    const first = await zhao.batch(lines)
    const expected = [201, 200, 200, 'move-not-allowed', 'invalid-body']
    expect(first.map(nameOf)).toEqual(lines.map((_, index) => expected[index % 5]))
    const head = await service.head()
    // Two events an entry, one a change, one a reservation for each mobile.
    expect(head - before).toBe(400 * 3 + 200)
    expect(await zhao.batch(lines)).toEqual(first)
    expect(await service.head()).toBe(head)
  })

  it('answers while the file is still being sent', async () => {
    const batch = await open('zhao')
    const lines = (from: number, count: number) => Array.from({ length: count }, (_, index) => ({ command: 'claim-ownership', key: `soon ${from + index}`, body: { customerId: 'nobody' } }))
    for (const [from, count] of [[0, 1], [1, 2], [3, 397]] as const) {
      batch.write(lines(from, count))
      await until(() => batch.text().split('\n').length === from + count + 1)
    }
    batch.end()
    await batch.done
    expect(parseLines(batch.text()).map((answer) => answer.line)).toEqual(Array.from({ length: 400 }, (_, index) => index + 1))
  })

  it('a connection broken in the middle loses nothing: the file sent again completes it, each line once', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => ({ command: 'create-customer', key: `broken ${index}`, body: individual({ customerId: `broken-${index}` }) }))
    const before = await service.head()
    const batch = await open('zhao')
    batch.write(lines.slice(0, 180))
    await until(() => batch.text().split('\n').length > 20)
    batch.break()
    await batch.done
    expect(batch.broken()).toBe(true)
    const answers = await service.as('clerk', 'zhao').batch(lines)
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]))
    expect((await service.log.events()).filter((event) => event.stream.startsWith('customer-broken-'))).toHaveLength(600)
    expect(await service.head()).toBe(before + 900)
  })

  it('who departs while a batch runs is refused from then on', async () => {
    await organise(service, {}, { leaver: 'north' })
    const batch = await open('leaver')
    batch.write([{ command: 'create-customer', key: 'here still', body: individual({ customerId: 'leaver-1' }) }])
    await until(async () => (await service.as('auditor').get('/customers/leaver-1')).status === 200)
    expect((await service.as('admin').send('depart-employee', { employeeId: 'leaver', reason: '离职' })).status).toBe(200)
    batch.write([{ command: 'create-customer', key: 'gone', body: individual() }])
    batch.end()
    await batch.done
    expect(parseLines(batch.text()).map(nameOf)).toEqual([201, 'unauthenticated'])
  })

  it('a batch is accepted as application/x-ndjson alone, and only with a token', async () => {
    const answer = await service.as('clerk', 'zhao').post('/commands', {})
    expect([answer.status, answer.text.includes('application/x-ndjson')]).toEqual([415, true])
    expect((await service.with(undefined).request('POST', '/commands', { headers: { 'content-type': 'application/x-ndjson' }, body: '{}\n' })).status).toBe(401)
  })
})
