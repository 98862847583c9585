import { readConfig } from '../../src/config.ts'
import { openCore } from '../../src/main.ts'
import { checkAnswers, checkModels, checkReservations, modelsCaughtUp, readLog, sendAgain } from './checks.ts'
import { makeCluster } from './cluster.ts'
import { makeKiller, newTally, type Tally } from './kills.ts'
import { startLoad } from './load.ts'
import { makeRandom } from './random.ts'

const RESERVATION_WAIT_MS = 150
/** How much longer than the wait a newcomer may take: the machine is busy. */
const SLACK_MS = 3000

export type TortureResult = { faults: string[]; tally: Tally; commands: number; retries: number; events: number; fences: number }

/**
 * Two processes of the service on one Postgres, writers over HTTP, and kill -9 of either and of Postgres, again and
 * again, for so many seconds. Afterwards everything that was promised is checked; what does not hold is in `faults`.
 */
export const torture = async (options: { seconds: number; seed: number; writers: number; everyPair: boolean; report: (line: string) => void }): Promise<TortureResult> => {
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
    if (cluster.services.some((service) => service.state !== 'up')) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      throw new Error(`a service did not start: ${cluster.faults.join('; ')}`)
    }
    say('two services are up on one Postgres')
    const core = await openCore(readConfig({ KEHU_DATA_DIR: cluster.dataDir, DATABASE_URL: cluster.databaseUrl() }), `${cluster.databaseUrl()}?application_name=torture`, report)
    try {
      const token = await cluster.token()
      const load = startLoad({ seed, writers: options.writers, services: cluster.services, token, keyedHash: core.runtime.keyedHash })
      const killer = makeKiller({ cluster, load, random, tally, runtime: core.runtime, reservationWaitMs: RESERVATION_WAIT_MS })
      await killer.forSeconds(options.seconds, options.everyPair)
      await load.stop()
      say(`${load.answered.size} commands answered, ${load.retries()} sent again; killed: ${tally.services} services, ${tally.postgres} Postgres, ${tally.everything} everything`)

      const { faults: heldUp, left, slowest } = await checkReservations({ core, cluster, load, token, withinMs: RESERVATION_WAIT_MS + SLACK_MS })
      check(`no reservation holds anybody up for longer than the wait, and who comes back late holds nothing (${left} were left; the slowest newcomer took ${Math.round(slowest)} ms)`, left > 0 ? heldUp : ['no reservation was left', ...heldUp])

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
      return { faults, tally, commands: load.answered.size, retries: load.retries(), events: log.events, fences: log.fences }
    } finally {
      await core.close()
    }
  } finally {
    await cluster.close()
  }
}
