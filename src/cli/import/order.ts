/** Work that shares a key goes one after the other, in the order it was given; any other goes at once. */
export const makeOrder = () => {
  const last = new Map<string, Promise<unknown>>()
  /** `work` must not reject: what waits for it goes on either way. */
  return async <T>(keys: readonly string[], work: () => Promise<T>): Promise<T> => {
    const before = keys.flatMap((key) => last.get(key) ?? [])
    const mine = before.length === 0 ? work() : Promise.all(before).then(work)
    for (const key of keys) last.set(key, mine)
    try {
      return await mine
    } finally {
      for (const key of keys) if (last.get(key) === mine) last.delete(key)
    }
  }
}

/** So many at once; the others wait their turn. */
export const makeSlots = (count: number) => {
  let taken = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (taken < count) taken += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else taken -= 1
    }
  }
}
