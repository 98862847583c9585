import { isConnectionError } from '../../src/event-store/postgres/connection.ts'
import { EventStoreUnavailable, type EventStore, type Position } from '../../src/event-store/port.ts'

/** What the log holds is asked through the port, on either store, and asked again while its servers are away. */

export type Seen = { position: Position; stream: string; type: string; commandId: string; epoch: number | null }

/** A server that was killed is back well before this. */
const PATIENCE_MS = 60_000

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const isAway = (error: unknown): boolean => error instanceof EventStoreUnavailable || isConnectionError(error)

/** Asks again and again while a server is away. */
export const persistently = async <T>(ask: () => Promise<T>): Promise<T> => {
  for (const until = performance.now() + PATIENCE_MS; ; await pause(20)) {
    try {
      return await ask()
    } catch (error) {
      if (!isAway(error) || performance.now() > until) throw error
    }
  }
}

/** Where the log ends. */
export const endOf = (store: EventStore): Promise<Position> => persistently(() => store.head())

/** What the log holds of these commands after a position, by command, and where it ends. */
export const lookAt = async (store: EventStore, commandIds: readonly string[], from: Position): Promise<{ end: Position; seen: Map<string, Seen[]> }> => {
  if (commandIds.length === 0) return { end: await endOf(store), seen: new Map() }
  const wanted = new Set(commandIds)
  return persistently(async () => {
    const events: Seen[] = []
    let end = from
    for await (const batch of store.readAll({ after: from, batchSize: 2000 })) {
      end = batch.position
      for (const { position, stream, type, data: { epoch }, metadata: { commandId } } of batch.events) {
        if (wanted.has(commandId)) events.push({ position, stream, type, commandId, epoch: typeof epoch === 'number' ? epoch : null })
      }
    }
    return { end, seen: Map.groupBy(events, (event) => event.commandId) }
  })
}

/** Resolves as soon as the log holds an event of this type after a position, or when the time is over. */
export const appears = async (store: EventStore, type: string, after: Position, withinMs: number): Promise<void> => {
  let last = after
  for (const end = performance.now() + withinMs; performance.now() < end; await pause(1)) {
    try {
      for await (const batch of store.readAll({ after: last })) {
        if (batch.events.some((event) => event.type === type)) return
        last = batch.position
      }
    } catch (error) {
      if (!isAway(error)) throw error
    }
  }
}
