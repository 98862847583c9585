import type { LogServer } from './log-server.ts'
import type { Random } from './random.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

type Tell = NonNullable<LogServer['tell']>

/** For a while, and then no longer. False when the server was not up to begin with. */
const forAWhile = async (tell: Tell, fault: string, ms: number, end: string): Promise<boolean> => {
  const told = await tell(fault)
  if (told) await pause(ms)
  await tell(end)
  return told
}

export const CARRIED_OUT_LATE = 'carried out after the caller had gone'

/**
 * What can go wrong without anybody being killed: each kind by its name, answering false when it could not happen just
 * then; and what makes everything well again that lasts.
 */
export type Upsets = { kinds: Readonly<Record<string, (random: Random) => Promise<boolean>>>; end: () => Promise<void> }

/** What comes between the services and the log's own server. */
export const upsetsOfLogServer = (tell: Tell): Upsets => ({
  kinds: {
    'every connection dropped': () => tell('dropConnections'),
    'answers late': (random) => forAWhile(tell, `answerLate ${Math.floor(random.between(50, 4000))}`, random.between(200, 2500), 'answerLate 0'),
    'answers lost': (random) => tell(`loseAnswers ${1 + random.below(6)}`),
    'answers doubled': (random) => tell(`doubleAnswers ${1 + random.below(40)}`),
    'requests lost': (random) => tell(`refuseBefore ${1 + random.below(6)}`),
    [CARRIED_OUT_LATE]: (random) => tell(`answerAfterGone ${Math.floor(random.between(1, 4000))}`),
    'frozen and thawed': (random) => forAWhile(tell, 'freeze', random.between(1000, 6000), 'thaw'),
    'subscriptions dropped as too slow': () => tell('slowConsumers'),
    'not ready': () => forAWhile(tell, 'notReady on', 1000, 'notReady off'),
    'slow to append': (random) => forAWhile(tell, `delayAppends ${Math.floor(random.between(5, 500))}`, random.between(200, 2000), 'delayAppends 0'),
  },
  end: async () => {
    for (const end of ['thaw', 'answerLate 0', 'loseAnswers 0', 'doubleAnswers 0', 'refuseBefore 0', 'notReady off', 'delayAppends 0']) await tell(end)
  },
})

/** How often each happened. */
export type UpsetTally = Map<string, number>
export const happened = (tally: UpsetTally, upset: string): void => void tally.set(upset, (tally.get(upset) ?? 0) + 1)

/**
 * Has all of it happen, each once in every round, in an order of its own each time; between two it is quiet for a
 * while. With `atLeastOnce` a first round is brought to its end. After `stop` everything is as it should be, as far as anybody can tell it.
 */
export const upset = ({ kinds, end }: Upsets, random: Random, tally: UpsetTally, options: { quietMs: readonly [number, number]; atLeastOnce: boolean }): { stop: () => Promise<void> } => {
  const over = new AbortController()
  for (const name of Object.keys(kinds)) tally.set(name, 0)
  const quiet = () => new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, random.between(...options.quietMs))
    over.signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
  const ended = (async () => {
    for (let rounds = 0; !over.signal.aborted; rounds += 1) {
      const round = Object.entries(kinds).map(([name, act]) => ({ name, act, at: random.next() })).toSorted((a, b) => a.at - b.at)
      for (const { name, act } of round) {
        await quiet()
        if (over.signal.aborted && (rounds > 0 || !options.atLeastOnce)) break
        if (await act(random)) happened(tally, name)
      }
    }
    await end()
  })()
  return {
    stop: async () => {
      over.abort()
      await ended
    },
  }
}

/** For so many seconds: restarts a server whose connections cannot be made to fail, at random moments, a few a minute. */
export const restartNowAndThen = async (server: LogServer | undefined, random: Random, tally: { log: number }, seconds: number): Promise<void> => {
  for (const until = performance.now() + seconds * 1000; performance.now() < until;) {
    const left = until - performance.now()
    await pause(Math.min(left, random.between(5000, 25_000)))
    if (server?.tell || !server?.restart || performance.now() >= until) continue
    await server.restart()
    tally.log += 1
  }
}
