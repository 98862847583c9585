import { z } from 'zod'
import { eventParser, type Decider, type EventOf } from '../decider.ts'

/**
 * One stream per employee whose gains are limited: slots reserved for customers about to be gained. Whether the
 * employee holds a customer is in the customer's own stream; who may come to, is here.
 */
export const kind = 'portfolio'
export const streamName = (employeeId: string): string => `portfolio-${employeeId}`

export const purposes = ['claim', 'assignment', 'transfer'] as const
export type Purpose = (typeof purposes)[number]

const ofSlot = { customerId: z.string(), commandId: z.string() }

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  /**
   * A command may gain a customer. `epoch` as in the reservations of identifiers; `tier` and `stage` are the customer's
   * as the command read them, `day` the day of the organisation's calendar it claims on.
   */
  SlotReserved: z.object({ ...ofSlot, epoch: z.number().int(), purpose: z.enum(purposes), tier: z.string(), stage: z.string(), day: z.string().optional() }),
  /** The command has gained the customer. */
  SlotSettled: z.object(ofSlot),
  /** The command has not, and under this reservation never will. */
  SlotReleased: z.object(ofSlot),
}
export type PortfolioEvent = EventOf<typeof events>

// State: only what counting needs.
export type Slot = z.infer<typeof events.SlotReserved>
export type OpenSlot = Slot & { revision: number }
export type Portfolio = {
  open: readonly OpenSlot[]
  /** Settled claims by day; only of the last days, since no other is asked for. */
  claims: ReadonlyMap<string, number>
  /** Revision of the last event that ended a slot; -1 before the first. */
  endedAt: number
}

const KEPT_DAYS = 3

const isSame = (one: { customerId: string; commandId: string }, other: { customerId: string; commandId: string }): boolean => one.customerId === other.customerId && one.commandId === other.commandId
const without = (open: readonly OpenSlot[], slot: { customerId: string; commandId: string }): OpenSlot[] => open.filter((one) => !isSame(one, slot))

/** The slot a command has open for a customer. */
export const slotOf = ({ open }: Portfolio, slot: { customerId: string; commandId: string }): OpenSlot | undefined => open.find((one) => isSame(one, slot))

const withClaim = (claims: ReadonlyMap<string, number>, day: string): Map<string, number> =>
  new Map([...new Map(claims).set(day, (claims.get(day) ?? 0) + 1)].sort(([one], [other]) => (one < other ? -1 : 1)).slice(-KEPT_DAYS))

export const portfolio: Decider<Portfolio, PortfolioEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { open: [], claims: new Map(), endedAt: -1 },
  evolve: (state, event) => {
    switch (event.type) {
      case 'SlotReserved':
        return { ...state, open: [...without(state.open, event.data), { ...event.data, revision: event.revision }] }
      case 'SlotSettled': {
        const day = slotOf(state, event.data)?.day
        return { endedAt: event.revision, open: without(state.open, event.data), claims: day === undefined ? state.claims : withClaim(state.claims, day) }
      }
      case 'SlotReleased':
        return { ...state, endedAt: event.revision, open: without(state.open, event.data) }
    }
  },
}
