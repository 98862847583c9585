import { readConfig } from '../../src/config.ts'
import { openCore, type Core } from '../../src/main.ts'
import { checkAnswers, checkModels, checkReactions, checkReservations, modelsCaughtUp, processesCaughtUp, readLog, sendAgain } from './checks.ts'
import { makeCluster, type Cluster } from './cluster.ts'
import { upsetsOfPostgres } from './cuts.ts'
import { makeKiller, newTally, type Tally } from './kills.ts'
import { startLoad } from './load.ts'
import { realServer, startHostProcess } from './log-server.ts'
import { endOf } from './look.ts'
import { checkPending } from './pending.ts'
import { makeRandom } from './random.ts'
import { startReader } from './readers.ts'
import { startSubscribers } from './subscribers.ts'
import { watchTakeovers } from './takeovers.ts'
import { restartNowAndThen, upset, upsetsOfLogServer, type UpsetTally } from './upsets.ts'

const RESERVATION_WAIT_MS = 150
/** Nobody is held up for longer by what somebody left behind. */
const HELD_UP_MS = 2000
/** Quiet between two upsets: among kills, and in the soak, where each is to be gone through by itself. */
const QUIET_AMONG_KILLS_MS = [200, 2500] as const
const QUIET_IN_SOAK_MS = [1000, 8000] as const
const QUIET_IN_SHORT_MS = [20, 200] as const

export type TortureOptions = {
  /** Where the log is: in Postgres, in the test host of EventStoreDB, or on a server that is there already. */
  store: 'postgres' | 'eventstoredb' | { url: string; restartCommand?: string | undefined }
  seconds: number
  seed: number
  writers: number
  /** The soak: no process is killed. */
  drops: boolean
  /** Goes on until a kill has fallen between every two appends, and until every receipt left waiting is swept. */
  thorough: boolean
  /** Within this a killed leader is replaced: 5 s, and more where others use the same two cores. */
  takeoverMs: number
  /** Until each thing that can go wrong between others and Postgres has, soon after one another. */
  everyUpset: boolean
  report: (line: string) => void
}
export type TortureResult = { faults: string[]; tally: Tally; upsets: UpsetTally; commands: number; retries: number; unavailable: number; events: number; fences: number; takeovers: { count: number; slowestMs: number } }

/** The processes of the service, and this one on the same log. */
const open = async ({ store, report }: TortureOptions): Promise<{ cluster: Cluster; core: Core }> => {
  const logServer = store === 'postgres' ? undefined : store === 'eventstoredb' ? startHostProcess : () => Promise.resolve(realServer(store.url, store.restartCommand))
  const cluster = await makeCluster({ services: 2, reservationWaitMs: RESERVATION_WAIT_MS, logServer })
  try {
    await Promise.all(cluster.services.map(cluster.start))
    if (cluster.services.some((service) => service.state !== 'up')) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      throw new Error(`a service did not start: ${cluster.faults.join('; ')}`)
    }
    const config = readConfig({ KEHU_DATA_DIR: cluster.dataDir, DATABASE_URL: cluster.databaseUrl(), ...cluster.logServer?.environment })
    return { cluster, core: await openCore(config, `${cluster.databaseUrl()}?application_name=torture`, report) }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/**
 * Two processes of the service, writers over HTTP, and kill -9 of either and of their servers, again and again, for
 * so many seconds, while connections and answers go wrong; in the soak, only those do. Afterwards everything that was promised is
 * checked; what does not hold is in `faults`.
 */
export const torture = async (options: TortureOptions): Promise<TortureResult> => {
  const { seed, report, drops, thorough, takeoverMs, everyUpset } = options
  const started = performance.now()
  const say = (line: string) => report(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`)
  const tally = newTally(options.store !== 'postgres')
  const upsets: UpsetTally = new Map()
  const faults: string[] = []
  const check = (what: string, found: readonly string[]) => {
    say(`${found.length === 0 ? 'holds' : 'FAILS'}: ${what}`)
    for (const fault of found.slice(0, 10)) report(`         ${fault}`)
    faults.push(...found.map((fault) => `${what}: ${fault}`))
  }
  const { cluster, core } = await open(options)
  const { logServer } = cluster
  try {
    const prefix = logServer?.environment.EVENTSTORE_PREFIX
    say(`two services are up on one Postgres${logServer ? ` and the log's own server${prefix === undefined ? '' : `, on which the log has the prefix ${prefix}`}` : ''}`)
    const { store } = core.runtime
    const subscribers = startSubscribers(store, makeRandom(seed * 1019))
    const reader = logServer && startReader(store, makeRandom(seed * 1031))
    const token = await cluster.token()
    const load = startLoad({ seed, writers: options.writers, services: cluster.services, token, keyedHash: core.runtime.keyedHash })
    const quiet = everyUpset ? QUIET_IN_SHORT_MS : drops ? QUIET_IN_SOAK_MS : QUIET_AMONG_KILLS_MS
    const upsetting = [upsetsOfPostgres(cluster), ...(logServer?.tell ? [upsetsOfLogServer(logServer.tell)] : [])].map((kinds, index) => upset(kinds, makeRandom(seed * 1021 + index), upsets, { quietMs: quiet, atLeastOnce: everyUpset }))
    const takeovers = watchTakeovers(cluster.directUrl(), () => tally.services + tally.postgres + tally.log + tally.everything + cluster.freezes())
    if (drops) await restartNowAndThen(logServer, makeRandom(seed), tally, options.seconds)
    else await makeKiller({ cluster, load, random: makeRandom(seed), tally, upsets, runtime: core.runtime, takeovers, reservationWaitMs: RESERVATION_WAIT_MS, patienceMs: thorough ? 3000 : 1500 }).forSeconds(options.seconds, thorough)
    await Promise.all(upsetting.map(({ stop }) => stop()))
    await load.stop()
    say(`${load.answered.size} commands answered, ${load.retries()} sent again, ${load.unavailable()} of them after a 503; killed: ${tally.services} services, ${tally.postgres} Postgres, ${tally.everything} everything${logServer ? `, ${tally.log} the log's server` : ''}`)

    const { faults: heldUp, left, slowest } = await checkReservations({ core, cluster, load, token, withinMs: HELD_UP_MS, kill: !drops })
    check(`no reservation holds anybody up for more than ${HELD_UP_MS / 1000} s, and who comes back late holds nothing (${left} were left; the slowest newcomer took ${Math.round(slowest)} ms)`, left > 0 ? heldUp : ['no reservation was left', ...heldUp])

    const { count, slowestMs } = takeovers.measured()
    check(`what a killed process led is led by another within ${takeoverMs / 1000} s (${count} times, the slowest after ${Math.round(slowestMs)} ms)`, slowestMs > takeoverMs ? [`it took ${Math.round(slowestMs)} ms`] : [])
    check('every read model catches up, and every process', [...(await modelsCaughtUp(core, 60_000)), ...(await processesCaughtUp(core, 60_000))])
    const log = await readLog(store, logServer === undefined)
    check(`the chains of ${log.events.length} events are whole, positions ${logServer ? 'grow' : 'have no gap'}, nobody ever held what another held`, log.faults)
    check('subscribers were given every event once, in order, through all of it', await subscribers.check(log.events, 30_000))
    if (reader) check(`${reader.count()} reads, begun anywhere, gave every event once, in order`, await reader.check(log.events))
    check('every command is in the log exactly once, where it was told', checkAnswers(log, load.answered))
    check(`${log.purchases.size} customers bought, and processes made a deal of each once`, checkReactions(log))
    const head = await endOf(store)
    check('the same keys sent again give the same answers, byte for byte', await sendAgain(load.answered, cluster.services, token))
    check('and change nothing', (await endOf(store)) === head ? [] : ['the log has grown'])
    check('every column of every read model equals a replay', await checkModels(core))
    if (logServer) {
      const pending = await checkPending(cluster.directUrl(), new Set([...load.answered.values()].map(({ command }) => command.commandId)), thorough)
      check(`no receipt waits for its event any more${pending.left > 0 ? `, but for ${pending.left} attempt(s) that came to nothing${thorough ? ', which were swept' : ', to be swept'}` : ''}`, pending.faults)
    }
    check('every answer was one a caller can expect', load.faults)
    await cluster.stop()
    check('no process ended by itself, and each ends when it is asked to', [...cluster.faults, ...(logServer?.faults ?? [])])
    return { faults, tally, upsets, commands: load.answered.size, retries: load.retries(), unavailable: load.unavailable(), events: log.events.length, fences: log.fences, takeovers: takeovers.measured() }
  } finally {
    await core.close().finally(cluster.close)
  }
}
