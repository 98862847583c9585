/** Numbers from 0 to 1 that are the same for the same seed (mulberry32): estimates must come out the same again. */
export const seeded = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** At most so many of these, each as likely as any other, in their order. */
export const sampleOf = <T>(items: readonly T[], most: number, random: () => number): readonly T[] => {
  if (items.length <= most) return items
  let left = items.length
  let wanted = most
  return items.filter(() => {
    const taken = random() * left < wanted
    left -= 1
    if (taken) wanted -= 1
    return taken
  })
}

/** Keeps at most so many of whatever is added, each as likely as any other. */
export const makeReservoir = <T>(most: number) => {
  const random = seeded(2)
  const kept: T[] = []
  let seen = 0
  return {
    add: (item: T): void => {
      seen += 1
      if (kept.length < most) kept.push(item)
      else {
        const place = Math.floor(random() * seen)
        if (place < most) kept[place] = item
      }
    },
    items: (): readonly T[] => kept,
  }
}
