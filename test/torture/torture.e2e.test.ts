import { expect, it } from 'vitest'
import { torture } from './run.ts'

const TAKEOVER_MS = 20_000

/**
 * A short form of `npm run torture`, with every check of the long one: two processes of the service on one database.
 * Whether kills fell between each pair of appends is for the long one: here there is time for a few. Nor are seconds counted
 * closely, for other tests run beside it.
 */
it('keeps every promise while services and Postgres are killed under load, connections cut, notifications lost', { timeout: 600_000 }, async () => {
  const lines: string[] = []
  const { faults, tally, upsets, commands, retries, fences } = await torture({ store: 'postgres', seconds: 3, seed: 20260303, writers: 16, drops: false, thorough: false, takeoverMs: TAKEOVER_MS, everyUpset: true, report: (line) => lines.push(line) })
  expect(faults, lines.join('\n')).toEqual([])
  for (const killed of [tally.services, tally.postgres, tally.everything]) expect(killed, lines.join('\n')).toBeGreaterThan(0)
  expect([...upsets.values()].filter((count) => count > 0).length, lines.join('\n')).toBeGreaterThan(6)
  expect(commands).toBeGreaterThan(50)
  expect(retries).toBeGreaterThan(0)
  expect(fences).toBeGreaterThan(0)
})

it('keeps every promise with the log in EventStoreDB, whose server is killed as well and whose answers are lost', { timeout: 600_000 }, async () => {
  const lines: string[] = []
  const { faults, tally, upsets, commands, retries, fences } = await torture({ store: 'eventstoredb', seconds: 1, seed: 20260303, writers: 12, drops: false, thorough: false, takeoverMs: TAKEOVER_MS, everyUpset: false, report: (line) => lines.push(line) })
  expect(faults, lines.join('\n')).toEqual([])
  for (const killed of [tally.services, tally.postgres, tally.log, tally.everything]) expect(killed, lines.join('\n')).toBeGreaterThan(0)
  expect([...upsets.values()].filter((count) => count > 0).length, lines.join('\n')).toBeGreaterThan(3)
  expect(commands).toBeGreaterThan(50)
  expect(retries).toBeGreaterThan(0)
  expect(fences).toBeGreaterThan(0)
})
