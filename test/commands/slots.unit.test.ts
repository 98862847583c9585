import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Pace } from '../support/interleaving.ts'
import { scenarios, type Kind, type Scenario } from './slots.model.ts'
import { ways } from './slots.ways.ts'
import { forked, makeWorld, placeWith, tally, WAIT, type Attempt, type Place } from './slots.world.ts'

/*
 * The slots' protocol in the real code, step by step: whatever the order of the reads, counts and appends of several
 * attempts, wherever one stops for ever or wakes up late, nobody holds or claims more than the limit allows, and no room is
 * lost. The scenarios are those of the exhaustive model, and so are the shortest ways to a fault that it finds for mutations.
 */
const SEED = 20260303
const RUNS = 10

const keyOf = (kind: Kind, index: number) => (kind.does === 'claim' ? `command-${kind.command}` : `key-${index}`)
const daysOf = ({ attempts }: Scenario) => [...new Set(attempts.flatMap((kind) => (kind.does === 'claim' ? [kind.day ?? 0] : [])))]

/** An order in which attempts go on, each for a few steps; and what becomes of each. */
type Plan = {
  bursts: { who: number; steps: number; pace: Pace }[]
  /** After so many steps it stops: for ever, or until everybody else is done and newcomers have come. */
  fates: ({ after: number; wakes: boolean } | undefined)[]
  stale: boolean
}
const plans = (count: number): fc.Arbitrary<Plan> =>
  fc.record({
    bursts: fc.array(fc.record({ who: fc.nat({ max: count - 1 }), steps: fc.integer({ min: 1, max: 6 }), pace: fc.constantFrom<Pace>('late', 'late', 'punctual') }), { minLength: 4, maxLength: 20 }),
    fates: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 2, arbitrary: fc.record({ after: fc.nat({ max: 10 }), wakes: fc.boolean() }) }), { minLength: count, maxLength: count }),
    stale: fc.boolean(),
  })

const play = async (scenario: Scenario, place: Place, { bursts, fates, stale }: Plan): Promise<void> => {
  const world = await makeWorld(place, stale)
  const taken = new Map<Attempt, number>()
  const attempts = scenario.attempts.map((kind, index) => world.start(kind, keyOf(kind, index)))
  const fateOf = new Map(attempts.map((attempt, index) => [attempt, fates[index]]))
  const goOn = async (attempt: Attempt, steps: number, pace: Pace) => {
    for (let n = 0; n < steps && attempt.waitsTo() && (taken.get(attempt) ?? 0) < (fateOf.get(attempt)?.after ?? Infinity); n += 1) {
      await world.go(attempt, pace)
      taken.set(attempt, (taken.get(attempt) ?? 0) + 1)
    }
  }
  for (const { who, steps, pace } of bursts) {
    const attempt = attempts[who]
    if (attempt) await goOn(attempt, steps, pace)
  }
  for (const attempt of attempts) await goOn(attempt, Infinity, 'punctual')
  for (const day of daysOf(scenario)) await world.newcomer(day)
  for (const attempt of attempts) if (fateOf.get(attempt)?.wakes) await world.finish(attempt, 'late')
  for (const day of daysOf(scenario)) await world.newcomer(day)
  world.verify()
}

/** Follows a way of the model as far as the code goes it; then newcomers come, everybody goes on to the end, and newcomers come again. */
const followWay = async (scenario: Scenario, place: Place, way: string): Promise<void> => {
  const world = await makeWorld(place, true)
  const attempts = scenario.attempts.map((kind, index) => world.start(kind, keyOf(kind, index)))
  for (const [, who, letters = ''] of way.matchAll(/(\d) (\S+)/g)) {
    // Where only claims are limited nothing is counted beside the portfolio.
    const taken = scenario.limit.capacity === undefined ? letters.replaceAll('c', '') : letters
    for (const letter of taken.replaceAll('s', 'u')) await world.until(attempts[Number(who)] ?? expect.fail(`no attempt ${who}`), letter)
  }
  for (const day of daysOf(scenario)) await world.newcomer(day)
  for (const attempt of attempts) await world.finish(attempt)
  for (const day of daysOf(scenario)) await world.newcomer(day)
  world.verify()
}

beforeAll(() => {
  // Jitter would make the same order of steps end otherwise another time.
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
})
afterAll(() => {
  vi.restoreAllMocks()
})

describe('nobody comes to hold, or claims in a day, more than the limit allows, and no room is lost', () => {
  describe.each(scenarios.map((scenario, number) => ({ ...scenario, number })))('$name', (scenario) => {
    let place: Place
    beforeAll(async () => {
      place = await placeWith(scenario.limit, scenario.customers, scenario.held)
    })

    it(`in ${RUNS} random orders of steps, some stopped or woken late`, async () => {
      await fc.assert(fc.asyncProperty(plans(scenario.attempts.length), (plan) => play(scenario, forked(place), plan)), { seed: SEED + scenario.number, numRuns: RUNS })
    })

    it('along the shortest ways to a fault that mutations have', async () => {
      for (const way of new Set(Object.values(ways[scenario.name] ?? expect.fail('no ways')))) await followWay(scenario, forked(place), way)
    })
  })

  it('and those orders were worth trying: there were fences, slots given back and settled for others, conflicts', () => {
    for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(2)
  })
})

describe('a writer who claims', () => {
  /** Once for each step: a world in which the writer has taken so many steps and stands before the next. */
  const stoppedAnywhere = async (limit: Scenario['limit'], then: (world: Awaited<ReturnType<typeof makeWorld>>, writer: Attempt) => Promise<void>): Promise<number> => {
    const place = await placeWith(limit, 1)
    for (let steps = 0; ; steps += 1) {
      const world = await makeWorld(forked(place), true)
      const writer = world.start({ does: 'claim', customer: 0, command: 0 }, 'once')
      for (let n = 0; n < steps && writer.waitsTo(); n += 1) await world.go(writer)
      if (!writer.waitsTo()) return steps
      await then(world, writer)
      world.verify()
    }
  }

  it.each([{ capacity: 1 }, { quota: 1 }])('stopped between any two of its steps, keeps nobody from the room for longer than the wait: %o', async (limit) => {
    const waits: number[] = []
    const steps = await stoppedAnywhere(limit, async (world, writer) => {
      const { waited } = await world.newcomer()
      waits.push(waited)
      await world.finish(writer, 'late')
      await world.newcomer()
    })
    expect(steps).toBeGreaterThan(5)
    // One whose command has its receipt is waited for a tenth of that; one reserved and never used, all of it, once.
    expect(new Set(waits)).toEqual(new Set([0, WAIT / 10, WAIT]))
  })

  it.each([{ capacity: 1 }, { quota: 1 }])('and is overtaken by its own retry, gives the answer the retry gave, and takes no more room: %o', async (limit) => {
    await stoppedAnywhere({ ...limit, ...('quota' in limit ? { quota: 2 } : { capacity: 2 }) }, async (world, writer) => {
      const retry = world.start({ does: 'claim', customer: 0, command: 0 }, 'once')
      const first = await world.finish(retry)
      expect(first.status).toBe(200)
      expect(await world.finish(writer, 'late')).toEqual(first)
      expect((await world.newcomer()).status).toBe(200)
      expect((await world.newcomer()).status).toBe(409)
    })
  })

  it('and gives up after its last round, ends its slot, and not that of its own retry, which may go on', async () => {
    const world = await makeWorld(await placeWith({ capacity: 1 }, 1), true)
    const writer = world.start({ does: 'claim', customer: 0, command: 0 }, 'once')
    const kinds: Kind[] = [{ does: 'other', customer: 0 }, { does: 'rival', customer: 0 }, { does: 'release', customer: 0 }, { does: 'rival', customer: 0 }, { does: 'release', customer: 0 }]
    await world.until(writer, 'R')
    for (const [round, kind] of kinds.entries()) {
      // Round by round the customer changes under it, and is free again when it looks.
      await world.finish(world.start(kind, `disturb-${round}`))
      if (kind.does === 'rival') await world.finish(world.start(kinds[round + 1] ?? kind, `again-${round}`))
      if (kind.does !== 'release') await world.until(writer, 'w')
      if (kind.does !== 'release') await world.until(writer, 'p')
    }
    await world.finish(world.start({ does: 'rival', customer: 0 }, 'a-last-rival'))
    await world.finish(writer)
    expect((await world.newcomer()).status).toBe(200)
    world.verify()
  })
})
