import { readConfig } from '../../src/config.ts'
import { openCore } from '../../src/main.ts'
import { checkAnswers, checkModels, modelsCaughtUp, readLog, sendAgain } from './checks.ts'
import { makeCluster } from './cluster.ts'
import { makeKiller, newTally, type Tally } from './kills.ts'
import { startLoad } from './load.ts'
import { makeRandom } from './random.ts'

const RESERVATION_WAIT_MS = 150
/** How much longer than the wait a newcomer may take: the machine is busy. */
const SLACK_MS = 3000
const ORPHANED = 40

export type TortureResult = { faults: string[]; tally: Tally; commands: number; retries: number; events: number; newcomers: number }

/**
 * Two processes of the service on one Postgres, writers over HTTP, and kill -9 of either and of Postgres, again and
 * again, for so many seconds. Afterwards everything that was promised is checked; what does not hold is in `faults`.
 */
export const torture = async (options: { seconds: number; seed: number; writers: number; report: (line: string) => void }): Promise<TortureResult> => {
  const { seed, report } = options
  const started = performance.now()
  const say = (line: string) => report(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`)
  const random = makeRandom(seed)
  const tally = newTally()
  const cluster = await makeCluster({ services: 2, reservationWaitMs: RESERVATION_WAIT_MS })
  const faults: string[] = []
  const check = (what: string, found: readonly string[]) => {
    say(`${found.length === 0 ? 'holds' : 'FAILS'}: ${what}`)
    for (const fault of found.slice(0, 10)) report(`         ${fault}`)
    faults.push(...found.map((fault) => `${what}: ${fault}`))
  }
  try {
    await Promise.all(cluster.services.map(cluster.start))
    say('two services are up on one Postgres')
    const core = await openCore(readConfig({ KEHU_DATA_DIR: cluster.dataDir, DATABASE_URL: cluster.databaseUrl() }), `${cluster.databaseUrl()}?application_name=torture`, report)
    try {
      const token = await cluster.token()
      const load = startLoad({ seed, writers: options.writers, services: cluster.services, token, keyedHash: core.runtime.keyedHash })
      const killer = makeKiller({ cluster, load, random, tally, reservationWaitMs: RESERVATION_WAIT_MS })
      await killer.until(performance.now() + options.seconds * 1000)
      await load.stop()
      say(`${load.answered.size} commands answered, ${load.retries()} sent again; killed: ${tally.services} services, ${tally.postgres} Postgres, ${tally.everything} everything`)

      // Creates that are cut off and not sent again; then others come for what they had reserved.
      const [first, second] = cluster.services
      if (!first || !second) throw new Error('two services are needed')
      const numbers = Array.from({ length: ORPHANED }, (_, index) => 90_000_000 + index)
      const abandoned = numbers.map((number) => load.newcomer(number))
      const cut = abandoned.map((command) => load.settle(command, first))
      await new Promise((resolve) => setTimeout(resolve, random.between(15, 60)))
      const orphans = await killer.killServices([first])
      const newcomers = await Promise.all(numbers.map(async (number) => {
        const asked = performance.now()
        const { status } = await load.settle(load.newcomer(number), second)
        return { number, status, ms: performance.now() - asked }
      }))
      const slowest = Math.max(...newcomers.map(({ ms }) => ms))
      check(`no reservation holds anybody up for longer than the wait (${orphans.length} were left; the slowest newcomer took ${Math.round(slowest)} ms)`, newcomers.flatMap(({ number, status, ms }) =>
        ms > RESERVATION_WAIT_MS + SLACK_MS || (status !== 201 && status !== 409) ? [`number ${number} was answered ${status} after ${Math.round(ms)} ms`] : []))
      await killer.everythingUp()
      await Promise.all(cut)
      const givenAway = numbers.filter((_, index) => newcomers[index]?.status === 201 && load.answered.get(abandoned[index]?.key ?? '')?.status === 201)
      check('who wakes up late makes no second holder', givenAway.map((number) => `number ${number} was given twice`))

      check('every read model catches up', await modelsCaughtUp(core, 60_000))
      const log = await readLog(core.runtime.store)
      check(`the chains of ${log.events} events are whole, positions have no gap, nobody ever held what another held`, log.faults)
      check('every command is in the log exactly once, where it was told', checkAnswers(log, load.answered))
      const head = await core.runtime.store.head()
      check('the same keys sent again give the same answers, byte for byte', await sendAgain(load.answered, cluster.services, token))
      check('and change nothing', (await core.runtime.store.head()) === head ? [] : ['the log has grown'])
      check('every column of every read model equals a replay', await checkModels(core))
      check('every answer was one a caller can expect', load.faults)
      await cluster.stop()
      check('no process ended by itself, and each ends when it is asked to', cluster.faults)
      return { faults, tally, commands: load.answered.size, retries: load.retries(), events: log.events, newcomers: newcomers.length }
    } finally {
      await core.close()
    }
  } finally {
    await cluster.close()
  }
}
