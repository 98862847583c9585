import { z } from 'zod'
import { eventParser, type Decider, type EventOf } from '../decider.ts'

/**
 * One stream per identifier value, named by a keyed hash: `identity-<kind>-v1-<hex>`. It says who may come to hold
 * the value; whether they do is in the customer's own stream.
 */
export const kind = 'identity'
export const streamName = (identity: string): string => `identity-${identity}`

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  /** `epoch` counts the customer's abandoned entries and released identifiers: a reservation of an older epoch is void. */
  IdentityReserved: z.object({ customerId: z.string(), commandId: z.string(), epoch: z.number().int() }),
  IdentityReleased: z.object({ customerId: z.string(), commandId: z.string() }),
}
export type IdentityEvent = EventOf<typeof events>

export type Identity = { reservedFor: { customerId: string; epoch: number } | null }

export const identity: Decider<Identity, IdentityEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { reservedFor: null },
  evolve: (_state, event) => {
    switch (event.type) {
      case 'IdentityReserved':
        return { reservedFor: { customerId: event.data.customerId, epoch: event.data.epoch } }
      case 'IdentityReleased':
        return { reservedFor: null }
    }
  },
}
