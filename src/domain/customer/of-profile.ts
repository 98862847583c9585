import type { CustomerEvent } from './events.ts'

const types: ReadonlySet<CustomerEvent['type']> = new Set(['ProfileChanged', 'ContactAdded', 'ContactChanged', 'ContactRemoved', 'IdentifierAdded', 'IdentifierReleased'])

/** The events that say who a customer is, and nothing of whose it is, where it stands or what protects it: most of what happens to one. */
export const isOfProfile = ({ type }: Pick<CustomerEvent, 'type'>): boolean => types.has(type)
