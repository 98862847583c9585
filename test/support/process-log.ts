import type { Parked, ProcessLog } from '../../src/event-store/process-log.ts'

/** Where processes stand, and what they have parked, in memory. */
export const makeMemoryProcessLog = (): ProcessLog => {
  const positions = new Map<string, bigint>()
  const parked = new Map<string, Parked>()
  const nameOf = (process: string, key: string) => `${process} ${key}`
  return {
    position: async (process) => positions.get(process) ?? 0n,
    advance: async (process, to) => {
      positions.set(process, to)
    },
    park: async (entry, at) => {
      const before = parked.get(nameOf(entry.process, entry.key))
      parked.set(nameOf(entry.process, entry.key), { ...entry, since: before?.since ?? at, tries: (before?.tries ?? 0) + 1 })
    },
    settle: async (process, key) => {
      parked.delete(nameOf(process, key))
    },
    parked: async (process) => [...parked.values()].filter((entry) => process === undefined || entry.process === process),
  }
}
