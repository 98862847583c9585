import type { AsOf } from '../projections/read-models.ts'

/** Looked at for one page: of those the caller may see none of, there may be many. */
const CANDIDATES = 250
const MOST_LOOKED_AT = 2500

/** `asOf`: of what was read first. */
export type SeenPage<Shown> = { items: Shown[]; next: string | undefined; asOf: AsOf }

/**
 * A page of what the caller sees, of a list in which that is known only after a look: candidates are read batch by batch, and
 * those that `show` leaves undefined are passed over. A page may have fewer than it could hold, even none, when many were looked
 * at in vain: `next` says where to go on, and is absent at the end.
 */
export const seenPage = async <Found extends { ordinal: string }, Shown>(
  page: { limit: number; cursor?: string | undefined },
  read: (before: string | undefined, size: number) => Promise<{ result: readonly Found[]; asOf: AsOf }>,
  show: (found: readonly Found[]) => Promise<readonly (Shown | undefined)[]>,
): Promise<SeenPage<Shown>> => {
  const items: Shown[] = []
  let before = page.cursor
  let first: AsOf | undefined
  for (let looked = CANDIDATES; ; looked += CANDIDATES) {
    const { result: found, asOf: latest } = await read(before, CANDIDATES)
    const asOf = (first ??= latest)
    const shown = await show(found)
    for (const [index, { ordinal }] of found.entries()) {
      const one = shown[index]
      if (one === undefined) continue
      // The next page begins after the last one shown.
      if (items.length === page.limit) return { items, next: before, asOf }
      items.push(one)
      before = ordinal
    }
    if (found.length < CANDIDATES) return { items, next: undefined, asOf }
    before = found.at(-1)?.ordinal ?? before
    if (looked >= MOST_LOOKED_AT) return { items, next: before, asOf }
  }
}

/** All of it, for an export. */
export async function* seenPages<Shown>(pageAt: (cursor: string | undefined) => Promise<SeenPage<Shown>>): AsyncIterable<Shown> {
  for (let cursor: string | undefined; ;) {
    const { items, next } = await pageAt(cursor)
    yield* items
    if (next === undefined) return
    cursor = next
  }
}
