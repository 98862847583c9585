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

/** What goes wrong between the services and the log without anybody being killed. */
const kinds = {
  'every connection dropped': (tell) => tell('dropConnections'),
  'answers late': (tell, random) => forAWhile(tell, `answerLate ${Math.floor(random.between(50, 4000))}`, random.between(200, 2500), 'answerLate 0'),
  'answers lost': (tell, random) => tell(`loseAnswers ${1 + random.below(6)}`),
  'requests lost': (tell, random) => tell(`refuseBefore ${1 + random.below(6)}`),
  'carried out after the caller had gone': (tell, random) => tell(`answerAfterGone ${Math.floor(random.between(1, 4000))}`),
  'frozen and thawed': (tell, random) => forAWhile(tell, 'freeze', random.between(1000, 6000), 'thaw'),
  'subscriptions dropped as too slow': (tell) => tell('slowConsumers'),
  'not ready': (tell) => forAWhile(tell, 'notReady on', 1000, 'notReady off'),
  'slow to append': (tell, random) => forAWhile(tell, `delayAppends ${Math.floor(random.between(5, 500))}`, random.between(200, 2000), 'delayAppends 0'),
} satisfies Record<string, (tell: Tell, random: Random) => Promise<boolean>>

export type Upset = keyof typeof kinds
const isUpset = (name: string): name is Upset => Object.hasOwn(kinds, name)
export const upsets: readonly Upset[] = Object.keys(kinds).filter(isUpset)

/** How often each happened. */
export type UpsetTally = Map<Upset, number>
export const newUpsetTally = (): UpsetTally => new Map(upsets.map((upset) => [upset, 0]))
export const happened = (tally: UpsetTally, upset: Upset): void => void tally.set(upset, (tally.get(upset) ?? 0) + 1)

/**
 * Has all of it happen, each once in every round, in an order of its own each time; between two it is quiet for a
 * while. After `stop` the host is as it should be, as far as anybody can tell it.
 */
export const upset = (tell: Tell, random: Random, tally: UpsetTally, quietMs: readonly [number, number]): { stop: () => Promise<void> } => {
  const over = new AbortController()
  const quiet = () => new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, random.between(...quietMs))
    over.signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
  const ended = (async () => {
    while (!over.signal.aborted) {
      const round = upsets.map((name) => ({ name, at: random.next() })).toSorted((a, b) => a.at - b.at)
      for (const { name } of round) {
        await quiet()
        if (over.signal.aborted) break
        if (await kinds[name](tell, random)) happened(tally, name)
      }
    }
    for (const end of ['thaw', 'answerLate 0', 'loseAnswers 0', 'refuseBefore 0', 'notReady off', 'delayAppends 0']) await tell(end)
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
