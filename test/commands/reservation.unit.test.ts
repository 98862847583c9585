import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import type { Answer } from '../../src/commands/handle.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import type { RecordedEvent } from '../../src/event-store/port.ts'
import { stepped, type Pace, type Step, type Stepped } from '../support/interleaving.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/*
 * The reservation protocol, in the real code, step by step: whatever the order of the reads and appends of several
 * attempts, wherever one stops for ever or sleeps and wakes up late, no mobile is held by two customers.
 * The scenarios are those of the exhaustive model (fence-model.py, beside the architecture), and two more with
 * change-identifier; so are the shortest ways to two holders that it finds for seven mutations of the protocol.
 */

const SEED = 20260303
const RUNS = 60
/** How long a writer waits for another's reservation, by its own clock. */
const WAIT = 20

const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }
const importer: Caller = { actor: 'importer', role: 'system', employeeId: null, onBehalfOf: null }

const base = makeMemoryStore()
const runtime = makeRuntime(base, { reservationWaitMs: WAIT })

/** In the order of their identity streams: 0 is reserved before 1, 1 before 2. */
const mobiles = ['13800138000', '13800138001', '13800138002']
  .map((value) => ({ value, identity: runtime.keyedHash.identity('mobile', `+86${value}`) }))
  .toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
const mobile = (index: number) => mobiles[index] ?? expect.fail(`there is no mobile ${index}`)
const identifier = (index: number) => ({ kind: 'mobile', value: mobile(index).value })

// One attempt at one command.

type Command = { customerId: string; key: string } & (
  | { does: 'create'; mobiles: readonly number[] }
  | { does: 'add' | 'release'; mobiles: readonly [number] }
  | { does: 'change'; mobiles: readonly [number, number] }
  | { does: 'rename'; mobiles: readonly [] }
)

const send = (to: typeof runtime, command: Command): Promise<Answer> => {
  const { customerId, key } = command
  switch (command.does) {
    case 'create':
      return handleNamed(to, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, identifiers: command.mobiles.map(identifier) }, { caller: clerk, key })
    case 'add':
      return handleNamed(to, 'add-identifier', { customerId, identifier: identifier(command.mobiles[0]) }, { caller: importer, key })
    case 'change':
      return handleNamed(to, 'change-identifier', { customerId, from: identifier(command.mobiles[0]), to: identifier(command.mobiles[1]) }, { caller: importer, key })
    case 'release':
      return handleNamed(to, 'release-identifier', { customerId, identifier: identifier(command.mobiles[0]), reason: '号码已停用' }, { caller: importer, key })
    case 'rename':
      return handleNamed(to, 'change-profile', { customerId, name: `renamed by ${key}` }, { caller: importer, key })
  }
}

type Attempt = Stepped<Answer> & { command: Command }

/**
 * Steps by a letter each. r: reads its own customer. i: reads an identity. h: reads the customer it is reserved for.
 * R: IdentityReserved. F: EntryAbandoned on the other. w: writes its own customer. f: EntryAbandoned on its own.
 * u: IdentityReleased. An append counts whether it succeeds or not.
 */
const letterOf = (step: Step, customerId: string): string | undefined => {
  switch (step.does) {
    case 'start':
    case 'sleep':
      return undefined
    case 'read':
      if (step.stream.startsWith('identity-')) return 'i'
      return step.stream === `customer-${customerId}` ? 'r' : 'h'
    case 'append':
      if (step.stream.startsWith('identity-')) return step.types[0] === 'IdentityReserved' ? 'R' : 'u'
      if (step.stream !== `customer-${customerId}`) return 'F'
      return step.types[0] === 'EntryAbandoned' ? 'f' : 'w'
  }
}

// What the log says.

const Held = z.object({ identity: z.string() })
const Created = z.object({ identifiers: z.array(Held) })

const gained = ({ type, data }: RecordedEvent): string[] => {
  if (type === 'CustomerCreated') return Created.parse(data).identifiers.map((one) => one.identity)
  return type === 'IdentifierAdded' ? [Held.parse(data).identity] : []
}
const lost = ({ type, data }: RecordedEvent): string[] => (type === 'IdentifierReleased' ? [Held.parse(data).identity] : [])

const Accepted = z.looseObject({ streamId: z.string(), events: z.array(z.object({ id: z.string(), type: z.string(), revision: z.number() })) })
const Refused = z.looseObject({ type: z.templateLiteral(['/docs/problems/', z.enum(['duplicate-customer', 'contention', 'customer-exists', 'identifier-not-held'])]) })
const Duplicate = z.looseObject({ type: z.literal('/docs/problems/duplicate-customer'), holder: z.looseObject({ customerId: z.string() }) })

const tally = { interleavings: 0, steps: 0, conflicts: 0, fences: 0, givenUp: 0, stopped: 0, wokenLate: 0 }

/** A log, attempts at it, and somebody who looks after every step whether a mobile has two holders. */
const makeWorld = (store: MemoryStore) => {
  const begin = stepped(store)
  const attempts: Attempt[] = []
  const trace: string[] = []
  const holders = new Map<string, Set<string>>()
  const everHeld = new Set<string>()
  const streams = new Map<string, RecordedEvent[]>()
  let seen = 0n

  const look = () => {
    for (const event of store.since(seen)) {
      seen = event.position
      const { stream } = event
      streams.set(stream, [...(streams.get(stream) ?? []), event])
      if (!stream.startsWith('customer-')) continue
      const customerId = stream.slice('customer-'.length)
      for (const name of gained(event)) {
        holders.set(name, new Set(holders.get(name)).add(customerId))
        everHeld.add(`${name} ${customerId}`)
      }
      for (const name of lost(event)) holders.get(name)?.delete(customerId)
    }
    for (const [name, those] of holders) {
      if (those.size > 1) throw new Error(`TWO HOLDERS of ${name}: ${[...those].join(' and ')}\n${trace.join('\n')}`)
    }
  }
  look()

  const start = (command: Command): Attempt => {
    const number = attempts.length
    const attempt = { ...begin(`attempt ${number}`, (view) => send({ ...runtime, ...view }, command)), command }
    attempts.push(attempt)
    return attempt
  }

  const go = async (attempt: Attempt, pace: Pace = 'late'): Promise<Step> => {
    const step = await attempt.next(pace)
    const { does, customerId } = attempt.command
    trace.push(`${attempt.name} (${does} ${customerId}): ${JSON.stringify(step)}${attempt.waitsTo() ? '' : `, answers ${attempt.answer()?.status}`}`)
    tally.steps += 1
    if (step.does === 'append') {
      if (step.outcome === 'conflict') tally.conflicts += 1
      else if (letterOf(step, customerId) === 'F') tally.fences += 1
      else if (letterOf(step, customerId) === 'f') tally.givenUp += 1
    }
    look()
    return step
  }

  /** Lets it go on until it has taken a step of this letter. It may end before that, on another way than the one thought of. */
  const until = async (attempt: Attempt, letter: string): Promise<void> => {
    while (attempt.waitsTo() && letterOf(await go(attempt), attempt.command.customerId) !== letter);
  }

  const finish = async (attempt: Attempt, pace: Pace = 'punctual'): Promise<Answer> => {
    while (attempt.waitsTo()) await go(attempt, pace)
    return attempt.answer() ?? expect.fail(`${attempt.name} ended without an answer`)
  }

  const holderOf = (index: number): string | undefined => [...(holders.get(mobile(index).identity) ?? [])][0]

  /** Whoever is stopped, somebody new can enter the mobile, or is told who holds it, after the wait at most. */
  const newcomer = async (index: number): Promise<{ status: number; waited: number }> => {
    const holder = holderOf(index)
    const attempt = start({ does: 'create', customerId: `newcomer-${attempts.length}`, mobiles: [index], key: `newcomer-${attempts.length}` })
    const { status, body } = await finish(attempt)
    const told = `a newcomer who enters mobile ${index}, held by ${holder ?? 'nobody'}\n${trace.join('\n')}`
    expect(attempt.elapsed(), `the wait of ${told}`).toBeLessThanOrEqual(WAIT)
    if (holder === undefined) expect(status, told).toBe(201)
    else expect(Duplicate.parse(body).holder.customerId, told).toBe(holder)
    return { status, waited: attempt.elapsed() }
  }

  /** What was acknowledged is in the log; who was named as the holder had been it; the chain of every stream is whole. */
  const verify = (): void => {
    for (const attempt of attempts) {
      const answer = attempt.answer()
      if (!answer) continue
      if (answer.status === 200 || answer.status === 201) {
        const { streamId, events } = Accepted.parse(answer.body)
        const there = streams.get(streamId) ?? []
        expect(events.map(({ revision }) => there[revision]).map((event) => event && { id: event.id, type: event.type, revision: event.revision }), trace.join('\n')).toEqual(events)
      } else {
        expect(answer.status, JSON.stringify(answer.body)).toBe(409)
        Refused.parse(answer.body)
        const duplicate = Duplicate.safeParse(answer.body)
        if (duplicate.success) expect(attempt.command.mobiles.some((index) => everHeld.has(`${mobile(index).identity} ${duplicate.data.holder.customerId}`)), trace.join('\n')).toBe(true)
      }
    }
    for (const [stream, events] of streams) {
      let head: Head = emptyHead(stream)
      for (const event of events) {
        expect(chainFault(event, head)).toBeUndefined()
        head = headAfter(event)
      }
    }
  }

  return { attempts, start, go, until, finish, holderOf, newcomer, verify, streams }
}

// Scenarios.

type Customers = Readonly<Record<string, readonly number[]>>
type Does = Command extends infer C ? C extends Command ? readonly [C['does'], string, C['mobiles']] : never : never

type Scenario = {
  name: string
  /** Who is there to begin with, holding which mobiles. */
  there: Customers
  attempts: readonly Does[]
  /**
   * The shortest ways to two holders, by the mutation they are of: attempts and their steps (letterOf), in the order
   * the model prints. `!`: the model gives up there at once, the code only in its fifth round or after five fences
   * that failed; such ways are driven to the end under "gives up" below.
   */
  ways: Readonly<Partial<Record<Mutation, string>>>
}
type Mutation = 'no-epoch' | 'own-newer' | 'reread' | 'no-self-fence' | 'release-first' | 'reused-id' | 'same-place'

const scenarios: readonly Scenario[] = [
  {
    name: 'two creators, one identifier',
    there: {},
    attempts: [['create', 'a', [0]], ['create', 'b', [0]]],
    ways: {
      'no-epoch': '0 riR  1 rihF  0 wriw  1 Rw',
      'reread': '0 riR  1 rihF  0 wriRw  1 Rw',
      'reused-id': '0 riR  1 rihF  0 wriRw  1 Rw',
    },
  },
  {
    name: 'two creators, two identifiers',
    there: {},
    attempts: [['create', 'a', [0, 1]], ['create', 'b', [1, 0]]],
    ways: {
      'no-epoch': '0 riRiR  1 rihF  0 wr  1 R  0 ihF  1 ih!fri  0 Ri  1 ihF  0 wriiw  1 Rw',
      'reread': '0 riRiR  1 rihF  0 wriRi  1 Ri  0 R  1 h  0 w  1 Rw',
      'reused-id': '0 riRiR  1 rihF  0 wriRiR  1 Rih  0 w  1 Rw',
    },
  },
  {
    name: 'three creators',
    there: {},
    attempts: [['create', 'a', [0]], ['create', 'b', [0]], ['create', 'c', [0]]],
    ways: {
      'no-epoch': '0 riR  1 rihF  0 wriw  1 Rw',
      'reread': '0 riR  1 rihF  2 ri  1 Rw  2 hRw',
      'reused-id': '0 riR  1 rihF  0 wriRw  1 Rw',
    },
  },
  {
    name: 'retry while the first attempt lives',
    there: {},
    attempts: [['create', 'a', [0, 1]], ['create', 'a', [0, 1]], ['create', 'b', [1]], ['create', 'c', [0]]],
    ways: {
      'no-epoch': '0 riR  2 riR  0 ihF  2 wri  0 Rw  2 w',
      'reread': '0 riR  2 riR  0 ihF  2 wriR  0 Rw  2 w',
      'no-self-fence': '0 riRiR  1 r  0 w  1 iiw!u  2 riRw',
      'reused-id': '0 riR  2 riR  0 ihF  2 wri  0 Rw  2 Rw',
      'same-place': '0 riR  1 ri  2 riR  0 ih!  1 ihFRw  0 fu  3 riRw',
    },
  },
  {
    name: 'retry, rival fences',
    there: {},
    attempts: [['create', 'a', [0, 1]], ['create', 'a', [0, 1]], ['create', 'b', [0, 1]]],
    ways: {
      'own-newer': '0 riRiR  1 r  2 rihF  0 wriRiR  1 iRiR  2 RihRih  0 w  2 Rw',
      'reread': '0 riRiR  2 rihF  1 riRi  2 Ri  1 R  2 h  1 w  2 Rw',
      'no-self-fence': '0 riRiR  1 r  0 w  1 iiw!uu  2 riRiRw',
      'reused-id': '0 riRiR  2 rihF  1 riRiR  2 Rih  1 w  2 Rw',
    },
  },
  {
    name: 'release twice, add again, rival',
    there: { a: [0] },
    attempts: [['release', 'a', [0]], ['release', 'a', [0]], ['add', 'a', [0]], ['create', 'b', [0]]],
    ways: {
      'no-epoch': '0 rwi  2 ri  0 u  2 w  3 riRw',
      'reread': '0 rw  2 ri  3 ri  2 R  3 h  2 w  3 Rw',
      'release-first': '0 u  3 riRw',
      'reused-id': '0 rw  2 riR  3 rih  2 w  3 Rw',
    },
  },
  {
    name: 'add twice, other events, rival',
    there: { a: [] },
    attempts: [['add', 'a', [0]], ['add', 'a', [0]], ['rename', 'a', []], ['create', 'b', [0]]],
    ways: {
      'no-epoch': '0 riR  3 rihF  1 riw  3 Rw',
      'own-newer': '0 riR  1 r  3 rihF  0 wriR  1 iR  3 Rih  0 w  3 Rw',
      'reread': '0 riR  3 rihF  1 riRw  3 Rw',
      'no-self-fence': '0 riR  1 r  0 w  1 iw!u  3 riRw',
      'reused-id': '0 riR  3 rihF  1 riRw  3 Rw',
      'same-place': '0 riR  1 r  3 rihF  0 wr  3 R  0 ihF  1 ihR  0 R  3 wrih  0 w  3 Rw',
    },
  },
  {
    name: 'release, add again, two rivals',
    there: { a: [0] },
    attempts: [['release', 'a', [0]], ['add', 'a', [0]], ['create', 'b', [0]], ['create', 'c', [0]]],
    ways: {
      'no-epoch': '0 rwi  1 ri  0 u  1 w  2 riRw',
      'reread': '0 rw  1 ri  2 ri  1 R  2 h  1 w  2 Rw',
      'release-first': '0 u  2 riRw',
      'reused-id': '0 rw  1 riR  2 rih  1 w  2 Rw',
    },
  },
  {
    name: 'add twice, holder releases, rival',
    there: { a: [], b: [0] },
    attempts: [['add', 'a', [0]], ['add', 'a', [0]], ['release', 'b', [0]], ['create', 'c', [0]]],
    ways: {
      'no-epoch': '0 ri  2 rw  0 hFR  3 rihF  1 riw  3 Rw',
      'own-newer': '0 ri  1 r  2 rw  0 hR  3 rihF  0 wriR  1 iR  3 Rih  0 w  3 Rw',
      'reread': '0 ri  2 rw  0 h  3 ri  0 Rw  3 hRw',
      'no-self-fence': '0 ri  1 r  2 rw  0 hRw  1 iw!u  3 riRw',
      'release-first': '0 r  2 u  0 iRw',
      'reused-id': '0 ri  2 rw  0 hR  3 rihF  1 riRw  3 Rw',
      'same-place': '0 ri  1 r  2 rw  0 hR  3 rihF  0 wr  3 R  0 ihF  1 ihR  0 R  3 wrih  0 w  3 Rw',
    },
  },
  {
    name: 'change, rival creator, add',
    there: { a: [0], c: [] },
    attempts: [['change', 'a', [0, 1]], ['create', 'b', [0, 1]], ['add', 'c', [0]]],
    ways: {},
  },
  {
    name: 'change there, back and away, rival',
    there: { a: [0] },
    attempts: [['change', 'a', [0, 1]], ['change', 'a', [1, 0]], ['change', 'a', [0, 1]], ['create', 'b', [1, 0]]],
    ways: {},
  },
  {
    name: 'retry, the holder changes its identifier, rival',
    there: { b: [1] },
    attempts: [['create', 'a', [0, 1]], ['create', 'a', [0, 1]], ['change', 'b', [1, 2]], ['create', 'c', [0]]],
    ways: {},
  },
]

/** Whether attempts that do the same are one command, sent again, or commands of their own. */
type Keys = 'one command' | 'commands of their own'

const commandOf = (what: Does, key: string): Command => {
  const [does, customerId, mobilesGiven] = what
  const spread = { customerId, key }
  switch (does) {
    case 'create': return { does, mobiles: what[2], ...spread }
    default: return expect.fail(`${mobilesGiven.length}`)
  }
}

void [SEED, RUNS, afterAll, beforeAll, describe, it, vi, fc, bootstrapLog, fingerprint, makeWorld, scenarios, commandOf]
export type X = [Keys, Customers]
