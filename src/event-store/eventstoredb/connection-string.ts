/** The client knows KurrentDB by its older name only. */
export const renamed = (url: string): string => url.trim().replace(/^(?:kurrentdb|kurrent|kdb)(\+discover)?:/, 'esdb$1:')

/** What the client reads from a connection string, in any case, with or without _ and -. */
const optionNames = [
  'tls', 'tlsCAFile', 'userCertFile', 'userKeyFile', 'connectionName', 'nodePreference', 'maxDiscoverAttempts', 'discoveryInterval', 'gossipTimeout',
  'keepAliveInterval', 'keepAliveTimeout', 'defaultDeadline', 'throwOnAppendFailure', 'tlsVerifyCert',
]
const flat = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '')
const known = new Set(optionNames.map(flat))

const host = String.raw`(?:\[[0-9a-fA-F:.]+\]|[^\s:/?#,@\[\]]+)(?::\d{1,5})?`
const shape = new RegExp(String.raw`^esdb(?:\+discover)?://(?:[^\s:/?#@]+(?::[^\s/?#@]*)?@)?${host}(?:,${host})*/?(?:\?\S*)?$`, 'i')

/**
 * Why a connection string cannot be used, in words that hold nothing of it; undefined when it can. Asked before the
 * client sees it, which prints the whole of one it has doubts about, password and all. Apart from the client, which
 * takes a while to load: every command reads the configuration, and few talk to EventStoreDB.
 */
export const faultOf = (url: string): string | undefined => {
  const options = new URLSearchParams(url.trim().split('?')[1])
  if ([...options.keys()].some((name) => !known.has(flat(name)))) return `has an option that is not known: there are ${optionNames.join(', ')}`
  for (const [name, value] of options) if (flat(name) === 'tlsverifycert' && value !== 'true') return 'cannot do without checking certificates: name the one to trust with tlsCAFile'
  // The client would take what stands behind the first @ for a host, and name it in its errors.
  if (/^[^/?#]*@.*@/s.test(url.slice(url.indexOf('://') + 3))) return 'has a user or password that is not percent-encoded (@ is %40, / is %2F)'
  return shape.test(renamed(url)) ? undefined : 'must be a connection string of EventStoreDB: esdb://[user:password@]host:port[,host:port…][?tls=false&…]'
}
