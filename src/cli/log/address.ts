import type { Config } from '../../config.ts'
import { CopyFault } from '../../event-store/copy.ts'
import { faultOf } from '../../event-store/eventstoredb/connection-string.ts'

/** Where a log is: `shown` names it without user, password and settings. */
export type Address =
  | { kind: 'installation'; shown: string }
  | { kind: 'postgres'; url: string; shown: string }
  | { kind: 'eventstoredb'; url: string; prefix: string | undefined; shown: string }

/** What `--from` or `--to` names. @throws CopyFault, which never repeats what was given */
export const readAddress = (option: '--from' | '--to', text: string, prefix: string | undefined, { eventStoreUrl, eventStorePrefix }: Config): Address => {
  const isPostgres = text === 'postgres' || /^postgres(ql)?:/i.test(text)
  if (prefix !== undefined && isPostgres) throw new CopyFault(`${option}-prefix is for EventStoreDB: a Postgres holds one log`)
  if (prefix !== undefined && !/^[a-z0-9]{1,32}$/.test(prefix)) throw new CopyFault(`${option}-prefix must be up to 32 letters a to z and digits`)
  if (text === 'postgres') return { kind: 'installation', shown: 'the Postgres of this installation' }
  if (isPostgres) {
    if (!URL.canParse(text)) throw new CopyFault(`${option} must be postgres://user:password@host:port/database`)
    const { protocol, host, pathname } = new URL(text)
    return { kind: 'postgres', url: text, shown: `${protocol}//${host}${pathname}` }
  }
  if (text === 'eventstore') {
    if (eventStoreUrl === undefined) throw new CopyFault(`${option} eventstore means EVENTSTORE_URL, which is not set`)
    return eventStore(eventStoreUrl, prefix ?? eventStorePrefix)
  }
  if (!/^(esdb|kurrentdb)(\+discover)?:\/\//.test(text)) throw new CopyFault(`${option} must be postgres, eventstore, postgres://…, esdb://…, esdb+discover://… or kurrentdb://…`)
  const fault = faultOf(text)
  if (fault !== undefined) throw new CopyFault(`${option} ${fault}`)
  return eventStore(text, prefix)
}

const eventStore = (url: string, prefix: string | undefined): Address => {
  const [scheme = '', rest = ''] = url.split('://', 2)
  return { kind: 'eventstoredb', url, prefix, shown: `${scheme}://${hostsOf(rest)}${prefix === undefined ? '' : `, prefix ${prefix}`}` }
}

// After the last @: a password may hold anything, also what should have been percent-encoded.
const hostsOf = (rest: string): string => rest.slice(rest.lastIndexOf('@') + 1).replace(/[/?#].*$/s, '')

/** Two names of one log, as far as the names tell. Two Postgres databases are compared when they are open. */
export const isSameAddress = (one: Address, other: Address): boolean => {
  if (one.kind === 'installation' || other.kind === 'installation') return one.kind === other.kind
  if (one.kind === 'postgres' || other.kind === 'postgres') return one.kind === other.kind && one.url === other.url
  const hosts = new Set(nodesOf(one.url))
  return one.prefix === other.prefix && nodesOf(other.url).some((node) => hosts.has(node))
}

const nodesOf = (url: string): string[] => hostsOf(url.split('://', 2)[1] ?? '').toLowerCase().split(',').map((node) => node.replace(/^(localhost|\[::1\])(?=:|$)/, '127.0.0.1').replace(/^([^:]+)$/, '$1:2113'))
