import { z } from 'zod'
import { eventParser, type EventOf } from '../decider.ts'

/** The log's own stream: its first event is the first of the log. */
export const kind = 'system'
export const stream = 'system-log'

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  /** `placeId` names where the log is kept; a copy gets a new one. The identity key's fingerprint guards uniqueness. */
  LogOpened: z.object({ logId: z.string(), placeId: z.string(), identityKey: z.string(), timeZone: z.string() }),
  LogCopied: z.object({ fromPlaceId: z.string(), placeId: z.string() }),
}
export type SystemEvent = EventOf<typeof events>
export const parse = eventParser(events)

/** `places` in order: the last one is where the log is kept now. */
export type Log = { logId: string; places: string[]; identityKey: string; timeZone: string }

export const evolve = (log: Log | null, event: SystemEvent): Log | null => {
  switch (event.type) {
    case 'LogOpened':
      return { logId: event.data.logId, places: [event.data.placeId], identityKey: event.data.identityKey, timeZone: event.data.timeZone }
    case 'LogCopied':
      return log && { ...log, places: [...log.places, event.data.placeId] }
  }
}
