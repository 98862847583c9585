import { load } from '../../src/commands/load.ts'
import { reservations } from '../../src/commands/reservation.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import { streamName } from '../../src/domain/customer/events.ts'
import { EventStoreUnavailable } from '../../src/event-store/port.ts'
import type { Command } from './commands.ts'

const reserve = async (runtime: Runtime, { customerId, commandId, gains }: Command): Promise<string> => {
  const loaded = await load(runtime, customer, streamName(customerId))
  const metadata = { commandId, commandHash: 'stopped', actor: 'first-system', $correlationId: commandId, $causationId: commandId }
  const { outcome } = await reservations(runtime).reserve(gains.map((gain) => gain.identity), { customerId, loaded, metadata }, [])
  return outcome
}

/** Does what a writer does for a command up to its reservations, and stops there, as if it had been killed; or earlier, where the log is away. */
export const stopAfterReserving = (runtime: Runtime, command: Command): Promise<string> =>
  reserve(runtime, command).catch((error: unknown) => {
    if (error instanceof EventStoreUnavailable) return 'unavailable'
    throw error
  })
