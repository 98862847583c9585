import { checkKinds } from '../stored-event.ts'

/**
 * How streams are named on the server. Alone on it: as Kehu names them. Beside other logs: under a prefix, behind an
 * @, which no id may hold: `customer-42` is `customer-@north.42` in the log named north. The category, what stands
 * before the first hyphen, stays the kind. Hashes are over Kehu's own names, whatever the prefix.
 */
export type Names = {
  toServer: (stream: string) => string
  /** Undefined for a stream of the server's own, or of somebody else. */
  fromServer: (name: string) => string | undefined
  /** What the server filters by: all of this log's streams, or those of some kinds. */
  filter: (kinds?: readonly string[]) => { regex: string } | { prefixes: string[] }
}

export const makeNames = (prefix?: string): Names => {
  const mark = prefix === undefined ? '-' : `-@${prefix}.`
  return {
    toServer: (stream) => (prefix === undefined ? stream : stream.replace('-', mark)),
    fromServer: (name) => {
      const [kind] = /^[a-z][A-Za-z]*(?=-)/.exec(name) ?? []
      if (kind === undefined || !name.startsWith(mark, kind.length)) return undefined
      const id = name.slice(kind.length + mark.length)
      return id === '' || id.startsWith('@') ? undefined : `${kind}-${id}`
    },
    filter: (kinds) => {
      if (!kinds) return { regex: prefix === undefined ? '^[a-z][A-Za-z]*-[^@]' : `^[a-z][A-Za-z]*-@${prefix}\\.` }
      checkKinds(kinds)
      return { prefixes: [...kinds].sort().map((kind) => `${kind}${mark}`) }
    },
  }
}
