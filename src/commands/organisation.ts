import { domainEvent } from '../domain/events.ts'
import { emptyOrganisation, evolveOrganisation, organisationKinds, type Organisation, type OrganisationEvent } from '../domain/organisation/organisation.ts'
import type { Codec } from '../event-store/codec.ts'
import type { EventStore } from '../event-store/port.ts'

/**
 * The organisation's setup, held in memory and followed in the log. A decision may see it a moment late; a refusal
 * may not: `refresh` reads on to the end of the log first.
 */
export type LiveOrganisation = {
  current: () => Organisation
  /** Reads on to where the log ends now. True when something had changed. */
  refresh: () => Promise<boolean>
  /** Keeps reading until the signal aborts. */
  follow: (signal: AbortSignal) => Promise<void>
}

const RETRY_MS = 500

const isOrganisationEvent = (event: ReturnType<typeof domainEvent>): event is OrganisationEvent =>
  event !== undefined && organisationKinds.some((kind) => kind === event.kind)

export const makeLiveOrganisation = (store: EventStore, codec: Codec): LiveOrganisation => {
  let organisation = emptyOrganisation
  let position = 0n
  let running: Promise<boolean> | undefined
  let next: Promise<boolean> | undefined

  const readOn = async (): Promise<boolean> => {
    let changed = false
    for await (const batch of store.readAll({ after: position, kinds: organisationKinds })) {
      if (batch.events.length > 0) {
        const events = (await codec.decode(batch.events)).map(domainEvent).filter(isOrganisationEvent)
        organisation = evolveOrganisation(organisation, events)
        changed = true
      }
      position = batch.position
    }
    return changed
  }

  /** One reads at a time. Who asks while it reads waits for the next round: this one may have passed the event meant. */
  const refresh = (): Promise<boolean> => {
    if (next) return next
    if (!running) {
      running = readOn().finally(() => {
        running = undefined
      })
      return running
    }
    next = running.catch(() => false).then(() => {
      next = undefined
      running = readOn().finally(() => {
        running = undefined
      })
      return running
    })
    return next
  }

  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const batch of store.subscribe({ after: position, kinds: organisationKinds, signal })) {
          if (batch.events.length > 0) await refresh()
        }
      } catch {
        // The log is out of reach, or an event cannot be read: decisions read on by themselves and say so.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  return { current: () => organisation, refresh, follow }
}
