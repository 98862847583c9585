import { domainEvent } from '../domain/events.ts'
import { emptyOrganisation, evolveOrganisation, organisationKinds, type Organisation, type OrganisationEvent } from '../domain/organisation/organisation.ts'
import type { Instant } from '../domain/decider.ts'
import type { Position } from '../event-store/port.ts'
import type { Runtime } from './runtime.ts'

/**
 * The organisation as it was at an instant, from its own events: as the log knows it now, or knew it by a time or up
 * to a position. What was recorded by a time is mapped to the log by the running maximum of recordedAt.
 */
export const organisationAsOf = async ({ store, codec }: Pick<Runtime, 'store' | 'codec'>, at: Instant, knownAt?: { position: Position } | { time: Instant }): Promise<Organisation> => {
  const events: OrganisationEvent[] = []
  let latest = ''
  for await (const batch of store.readAll({ after: 0n, kinds: organisationKinds })) {
    for (const stored of await codec.decode(batch.events)) {
      if (stored.metadata.recordedAt > latest) latest = stored.metadata.recordedAt
      if (knownAt && ('position' in knownAt ? stored.position > knownAt.position : latest > knownAt.time)) return evolveOrganisation(emptyOrganisation, events)
      const event = domainEvent(stored)
      if (event && isOfOrganisation(event) && event.event.effectiveAt <= at) events.push(event)
    }
  }
  return evolveOrganisation(emptyOrganisation, events)
}

const isOfOrganisation = (event: NonNullable<ReturnType<typeof domainEvent>>): event is OrganisationEvent => organisationKinds.some((kind) => kind === event.kind)
