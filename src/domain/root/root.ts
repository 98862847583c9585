import { z } from 'zod'
import { eventParser, type Decider, type EventOf, type Instant } from '../decider.ts'

/** The log's signed roots: a Merkle root over its first events, now and then, by which any change to them is found. */
export const kind = 'root'
export const stream = 'root-log'

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  /** `key` is the fingerprint of `publicKey`. `endorsement`: signed by the key before it, where it took over from one. */
  RootKeyAdded: z.object({ key: z.string(), publicKey: z.string(), endorsedBy: z.string().nullable(), endorsement: z.string().nullable() }),
  /** `root` is that of the first `size` events of the log, this one and those after it not among them. */
  RootSigned: z.object({ size: z.int(), root: z.string(), signedAt: z.string(), key: z.string(), signature: z.string() }),
}
export type RootEvent = EventOf<typeof events>
export type RootKeyAdded = z.infer<typeof events.RootKeyAdded>
export type RootSigned = z.infer<typeof events.RootSigned>

/** Every key there was, by fingerprint, and the root signed last. */
export type RootLog = { keys: ReadonlyMap<string, RootKeyAdded>; last: { size: number; signedAt: Instant } | null }

/** Nothing is decided here: what is due and over what, the log itself tells (commands/processes/roots.ts). */
export const rootLog: Decider<RootLog, RootEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { keys: new Map(), last: null },
  evolve: (state, event) => {
    switch (event.type) {
      case 'RootKeyAdded':
        return { ...state, keys: new Map(state.keys).set(event.data.key, event.data) }
      case 'RootSigned':
        return { ...state, last: { size: event.data.size, signedAt: event.data.signedAt } }
    }
  },
}
