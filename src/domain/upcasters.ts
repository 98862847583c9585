/**
 * Events written by earlier versions of this program, brought to today's shape as they are read; the log itself is
 * never touched. An event type is at version 1 plus the number of its upcasters: each turns the data of one version
 * into that of the next. test/golden holds an event of every type and version, which must read for ever.
 */
export type Upcaster = (data: unknown) => unknown

const upcasters: Record<string, readonly Upcaster[]> = {}

export const makeUpcasting = (upcastersOf: Record<string, readonly Upcaster[]>) => {
  const stepsOf = new Map(Object.entries(upcastersOf))
  const schemaVersionOf = (type: string): number => 1 + (stepsOf.get(type)?.length ?? 0)
  return {
    schemaVersionOf,
    /** Throws when the event was written by a newer version of this program than this one. */
    upcast: (type: string, schemaVersion: number, data: unknown): unknown => {
      if (schemaVersion > schemaVersionOf(type)) throw new Error(`${type} has version ${schemaVersion}, this program knows ${schemaVersionOf(type)}: it is older than the log`)
      return (stepsOf.get(type) ?? []).slice(schemaVersion - 1).reduce((value, step) => step(value), data)
    },
  }
}

export const { schemaVersionOf, upcast } = makeUpcasting(upcasters)
