import { pause } from '../waiting.ts'

/** Reads that are open at once, if possible: the server lets a connection have a hundred calls, and refuses more. */
const MOST_READS = 64
/** How long one waits for its turn: a reader may well be held up by what waits behind it. */
const TURN_MS = 250

/** Lets so many in at a time; the others wait, in order, but not for ever. */
export const makeGate = (most = MOST_READS) => {
  let inside = 0
  const queue: (() => void)[] = []
  return {
    enter: async (): Promise<void> => {
      if (inside >= most) {
        let turn: () => void = () => undefined
        await Promise.race([pause(TURN_MS), new Promise<void>((resolve) => queue.push((turn = resolve)))])
        const still = queue.indexOf(turn)
        if (still >= 0) queue.splice(still, 1)
      }
      inside += 1
    },
    leave: (): void => {
      inside -= 1
      if (inside < most) queue.shift()?.()
    },
  }
}
