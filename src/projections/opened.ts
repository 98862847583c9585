import { domainEvent, type DomainEvent } from '../domain/events.ts'
import type { Codec } from '../event-store/codec.ts'
import { kindOf, type RecordedEvent } from '../event-store/port.ts'

// As long as somebody holds the event itself: several read models that read it open it once.
const opened = new WeakMap<RecordedEvent, { event: DomainEvent | undefined }>()

/** Opens the personal values of the events of these kinds and checks their shape. Throws when one of them is at fault. */
export const openEvents = async (codec: Codec, events: readonly RecordedEvent[], kinds: readonly string[]): Promise<void> => {
  const closed = events.filter((event) => !opened.has(event) && kinds.includes(kindOf(event.stream)))
  const decoded = await codec.decode(closed)
  for (const [index, event] of decoded.entries()) {
    const stored = closed[index]
    if (stored) opened.set(stored, { event: domainEvent(event) })
  }
}

/** What `openEvents` made of it; undefined for a type this program does not know. */
export const openedEvent = (event: RecordedEvent): DomainEvent | undefined => opened.get(event)?.event
