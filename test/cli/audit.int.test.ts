import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proveStream, type Proof } from '../../src/cli/audit/prove.ts'
import { appendToRootLog, keyAdded, loadRootLog } from '../../src/commands/root-log.ts'
import { makeRootSigner } from '../../src/commands/processes/roots.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { RecordedEvent } from '../../src/event-store/port.ts'
import { rootText, type SignedRoot } from '../../src/event-store/signed-root.ts'
import type { Finding } from '../../src/event-store/verification.ts'
import { makeAudit, newKey, rewriteLog } from './audit.world.ts'

const importer = { actor: 'importer', role: 'system', employeeId: 'clerk', onBehalfOf: 'clerk' } as const

describe('an audit of a log in Postgres', () => {
  let audit: Awaited<ReturnType<typeof makeAudit>>
  let events: RecordedEvent[]
  let earlier: SignedRoot
  let last: SignedRoot
  const customers = ['a', 'b', 'c']
  const send = async (command: string, body: object) => {
    const answer = await handleNamed(audit.runtime, command, body, { caller: importer })
    expect(answer.status).toBeLessThan(300)
  }
  beforeAll(async () => {
    audit = await makeAudit()
    await audit.sign()
    for (const customerId of customers) await send('create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, identifiers: [], contacts: [] })
    for (const customerId of customers) await send('release-ownership', { customerId, reason: '不再跟进' })
    earlier = (await audit.sign()) ?? expect.fail('nothing was signed')
    // Between these roots, and after the last one, are last events of streams.
    await send('claim-ownership', { customerId: 'a' })
    await send('claim-ownership', { customerId: 'b' })
    last = (await audit.sign()) ?? expect.fail('nothing was signed')
    await send('release-ownership', { customerId: 'b', reason: '不再跟进' })
    events = await audit.read()
  })
  afterAll(() => audit.close())

  const positions = () => events.map((event) => Number(event.position))
  const inTurn = async (work: (position: number) => Promise<void>) => {
    for (const position of positions()) await work(position)
  }
  /** What a finding about a root says of where it is. */
  const spanOf = ({ detail }: Finding): number[] => [...(/at positions (\d+) to (\d+)/.exec(detail) ?? [])].slice(1).map(Number)
  /** Everything up to the last root is found, and where; after it nothing can be. */
  const expectSpan = (findings: Finding[], position: number) => {
    if (position > last.size) return expect(findings).toEqual([])
    expect(findings).toMatchObject([{ kind: 'root' }])
    const [from = 0, to = 0] = findings.flatMap(spanOf)
    expect(from <= position && position <= to, `${position} is in ${from} to ${to}`).toBe(true)
  }

  it('finds nothing where nothing was changed, and says how far that goes', async () => {
    const verified = await audit.after(async () => undefined)
    expect(verified).toMatchObject({ events: events.length, fitting: 3, unfitting: 0, last: { size: last.size, from: `from ${audit.roots.rootsFile}` }, findings: [], keys: [audit.rootKey.key] })
    expect(verified.streams).toBe(new Set(events.map(({ stream }) => stream)).size)
  })

  const changes = [
    `data = '{"forged":true}'`, `data = data || ' '`, `metadata = regexp_replace(metadata, '"actor":"[^"]*"', '"actor":"forger"')`, `metadata = 'not even JSON'`, `type = 'Forged'`,
    `event_id = gen_random_uuid()`, `hash = sha256('forged')`, `metadata = regexp_replace(metadata, '"hash":"[^"]*"', '"hash":"' || repeat('0', 64) || '"')`,
  ]
  const expectAltered = async (change: string, position: number) => {
    const { findings } = await audit.after((table) => table.query(`update kehu.event set ${change} where position = $1`, [position]))
    const { stream, revision } = events[position - 1] ?? expect.fail()
    expect(findings.filter((one) => one.kind === 'altered')).toContainEqual(expect.objectContaining({ position: BigInt(position), stream, revision }))
  }
  it.each(changes)('finds the very event of which somebody set %s', async (change) => {
    for (const position of [1, last.size, events.length]) await expectAltered(change, position)
  })
  it('finds the very event that was altered, at every position', () => inTurn((position) => expectAltered(changes[position % changes.length] ?? '', position)))

  it('finds each event that was removed, the last of a stream or of the log up to the last root', async () => {
    await inTurn(async (position) => {
      const { findings } = await audit.after((table) => table.query('delete from kehu.event where position = $1', [position]))
      if (position === events.length) return expect(findings).toEqual([])
      expect(findings).toContainEqual(expect.objectContaining({ kind: 'removed', position: BigInt(position) }))
      const { stream, revision } = events[position - 1] ?? expect.fail()
      const isLast = !events.slice(position).some((event) => event.stream === stream)
      if (!isLast) expect(findings).toContainEqual(expect.objectContaining({ kind: 'removed', stream, revision, detail: expect.stringContaining(`revision ${revision} of this stream is missing`) }))
    })
  })

  it('finds that the end of the log was cut off, before the last root', async () => {
    await inTurn(async (position) => {
      const { findings } = await audit.after((table) => table.query('delete from kehu.event where position >= $1', [position]))
      if (position > last.size) return expect(findings).toEqual([])
      expect(findings).toContainEqual(expect.objectContaining({ kind: 'removed', detail: expect.stringMatching(new RegExp(`over ${last.size} events .*the log has ${position - 1}: ${last.size - position + 1} are missing`)) }))
    })
  })

  it('finds events that changed places', async () => {
    await inTurn(async (position) => {
      if (position === events.length) return
      const [one, other] = [events[position - 1], events[position]]
      const { findings } = await audit.after((table) => table.query('update kehu.event set position = -position where position in ($1, $2)', [position, position + 1])
        .then(() => table.query('update kehu.event set position = $1 + position where position < 0', [2 * position + 1])))
      if (one?.stream === other?.stream) expect(findings).toContainEqual(expect.objectContaining({ kind: 'moved', position: BigInt(position + 1), stream: one?.stream, revision: one?.revision }))
      else expectSpan(findings, position)
    })
  })

  it('finds a change hidden by writing all chains and positions anew, between two roots', async () => {
    await inTurn(async (position) => {
      const altered = events.map((event) => (Number(event.position) === position ? { ...event, data: { ...event.data, forged: true } } : event))
      expectSpan((await audit.after((table) => rewriteLog(table, altered))).findings, position)
      const removed = await audit.after((table) => rewriteLog(table, events.filter((event) => Number(event.position) !== position)))
      if (position <= last.size) expect(removed.findings.flatMap((one) => (one.kind === 'root' ? one.detail : []))).not.toEqual([])
      const { findings } = await audit.after((table) => rewriteLog(table, events.toSpliced(position - 1, 0, { ...(events[position - 1] ?? expect.fail()), id: uuidv7() })))
      expectSpan(findings, position)
    })
  })

  it('finds an event that was put in as it stood elsewhere', async () => {
    const { findings } = await audit.after((table) => table.query(`update kehu.event set position = position + 1000 where position > 30`)
      .then(() => table.query('update kehu.event set position = position - 999 where position > 1000'))
      .then(() => table.query('alter table kehu.event drop constraint event_place'))
      .then(() => table.query('insert into kehu.event select 31, stream_key, revision, event_id, stream, type, data, metadata, hash from kehu.event where position = 25')))
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'inserted', position: 31n, stream: events[24]?.stream, revision: events[24]?.revision }))
  })

  it('is not deceived by roots of another key, and needs the kept file against one who takes roots out of the log', async () => {
    const forger = newKey()
    const logId = last.logId
    const forgedRoot = { logId, size: last.size, root: '0'.repeat(64), signedAt: last.signedAt }
    const roots = events.filter(({ stream }) => stream === 'root-log')
    const forged = events.filter(({ stream }) => stream !== 'root-log').map((event) => (event.stream === 'customer-a' ? { ...event, data: { ...event.data, forged: true } } : event))
    // Without file and fingerprint, and with the roots gone, nothing is left to tell.
    expect((await audit.after((table) => rewriteLog(table, forged), { roots: undefined, fingerprints: [] }))).toMatchObject({ findings: [], last: null })
    expect((await audit.after((table) => rewriteLog(table, forged))).findings).not.toEqual([])
    const [added, signed] = [roots.find(({ type }) => type === 'RootKeyAdded'), roots.find(({ type }) => type === 'RootSigned')]
    const own = [{ ...(added ?? expect.fail()), data: keyAdded(logId, forger) }, { ...(signed ?? expect.fail()), data: { ...forgedRoot, key: forger.key, signature: forger.sign(rootText(forgedRoot)) } }]
    const { findings } = await audit.after((table) => rewriteLog(table, [...forged, ...own]), { roots: undefined })
    expect(findings).toMatchObject([{ kind: 'root', detail: expect.stringContaining('neither given nor endorsed') }])
    await writeFile(join(audit.folder, 'mangled'), `half a li\n${JSON.stringify({ ...last, size: last.size - 1 })}\n${JSON.stringify({ ...last, logId: 'another' })}\n`)
    const mangled = await audit.after(async () => undefined, { roots: join(audit.folder, 'mangled') })
    expect(mangled.findings.map(({ detail }) => detail)).toEqual([expect.stringContaining('line 1 of'), expect.stringContaining('is not signed by the key it names'), expect.stringContaining('is of another log')])
  })

  describe('proves what a customer’s events are', () => {
    const check = (proof: unknown, fingerprint: string): Promise<{ code: number; output: string }> => new Promise((resolve) => {
      const file = join(audit.folder, 'proof.json')
      void writeFile(file, JSON.stringify(proof)).then(() => execFile(process.execPath, ['tools/verify-proof.mjs', file, '--fingerprint', fingerprint], (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr })))
    })
    const prove = (stream: string, since?: number) => proveStream({ runtime: audit.runtime, roots: audit.roots }, stream, { since })

    it('to a script that knows nothing but a fingerprint, and sees every change', async () => {
      const proof = await prove('customer-b', earlier.size)
      expect(proof).toMatchObject({ eventsAfterRoot: 1, root: { size: last.size }, events: { length: 4 } })
      const { code, output } = await check(proof, audit.rootKey.key)
      expect(output).toContain(`PROVED: these ${proof.events.length} events of customer-b`)
      expect(output).toContain(`PROVED: the log has only grown since the root over ${earlier.size} events`)
      expect(output).not.toContain('王小明')
      expect(code).toBe(0)

      const [first, second] = [proof.events[0] ?? expect.fail(), proof.events[1] ?? expect.fail()]
      const other = await prove('customer-c')
      const changes: [string, Proof, string?][] = [
        ['its content does not have its hash', { ...proof, events: proof.events.with(0, { ...first, data: { ...first.data, stage: 'active' } }) }],
        ['its content does not have its hash', { ...proof, events: proof.events.with(1, { ...second, metadata: { ...second.metadata, actor: 'forger' } }) }],
        ['is missing before it', { ...proof, events: proof.events.toSpliced(1, 1) }],
        ['about another event', { ...proof, events: proof.events.slice(0, -1) }],
        ['does not stand at ordinal', { ...proof, events: proof.events.with(0, { ...first, ordinal: first.ordinal - 1 }) }],
        ['does not stand at ordinal', { ...proof, events: proof.events.with(0, { ...first, path: first.path.toReversed() }) }],
        ['its signature does not hold', { ...proof, root: { ...proof.root, size: proof.root.size + 1 } }],
        ['its signature does not hold', { ...proof, head: other.head }],
        ['not only grown', { ...proof, growth: { from: last, path: ['00'.repeat(32)] } }],
        ['neither the one given nor endorsed by it', proof, newKey().key],
        ['is not a whole proof', { ...proof, root: { ...proof.root, publicKey: '' } }],
      ]
      for (const [fault, changed, fingerprint = audit.rootKey.key] of changes) {
        const found = await check(changed, fingerprint)
        expect(found).toMatchObject({ code: 1, output: expect.stringContaining(fault) })
        expect(found.output).not.toContain('PROVED: these')
      }
      expect((await check(proof, 'short')).code).toBe(2)
    })

    it('under a new key, to who holds the fingerprint of the one before', async () => {
      const next = newKey()
      await appendToRootLog(audit.runtime, await loadRootLog(audit.runtime), () => [{ type: 'RootKeyAdded', data: keyAdded(last.logId, next, audit.rootKey) }])
      const roots = { ...audit.roots, rootKey: next }
      await makeRootSigner(roots).signNow()
      const proof = await proveStream({ runtime: audit.runtime, roots }, 'customer-a')
      expect(proof.root.key).toBe(next.key)
      for (const { key } of [next, audit.rootKey]) expect((await check(proof, key)).output).toContain('PROVED: these')
      expect((await check({ ...proof, keys: proof.keys.map((one) => ({ ...one, endorsement: one.endorsement && proof.root.signature })) }, audit.rootKey.key)).code).toBe(1)
      expect(await audit.after(async () => undefined)).toMatchObject({ findings: [], fitting: 4, keys: [audit.rootKey.key, next.key] })
    })

    it('not where there is nothing to prove, or the log is not what was signed', async () => {
      await expect(prove('customer-nobody')).rejects.toThrow('The log has no such customer')
      await expect(prove('customer-a', 7)).rejects.toThrow('No root over 7 events')
      await expect(proveStream({ runtime: { ...audit.runtime, store: { ...audit.store, async *readAll(options) {
        for await (const batch of audit.store.readAll(options)) yield { ...batch, events: batch.events.filter(({ position }) => position !== 5n) }
      } } }, roots: audit.roots }, 'customer-a')).rejects.toThrow('run kehu audit verify')
    })
  })
})
