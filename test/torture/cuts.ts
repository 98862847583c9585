import pg from 'pg'
import { APPEND_LOCK } from '../../migrations/0001-log.ts'
import type { Cluster } from './cluster.ts'
import type { Random } from './random.ts'
import type { Upsets } from './upsets.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A connection of Postgres as it sees it: whose it is, and whether it listens, or holds a lock by which one of many acts. */
type Backend = { pid: number; listens: boolean; leads: boolean; appends: boolean }

const BACKENDS = `
  select a.pid, a.query ilike 'listen %' as listens,
    exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.granted and l.classid <> 0) as leads,
    exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.classid = 0 and l.objid = $1) as appends
  from pg_stat_activity a
  where a.datname = current_database() and a.backend_type = 'client backend' and a.application_name <> 'torture itself'
  order by a.backend_start, a.pid`

/** What goes wrong between everybody and Postgres without anybody being killed. */
export const upsetsOfPostgres = ({ proxy, directUrl, services, freeze }: Pick<Cluster, 'proxy' | 'directUrl' | 'services' | 'freeze'>): Upsets => {
  /** False when Postgres was not there. */
  const withPostgres = async (work: (client: pg.Client) => Promise<boolean>, url = directUrl()): Promise<boolean> => {
    const client = new pg.Client({ connectionString: url, application_name: 'torture itself' })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await work(client)
    } catch {
      return false
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const cut = (which: (backend: Backend) => boolean) => withPostgres(async (client) => {
    const { rows } = await client.query<Backend>(BACKENDS, [APPEND_LOCK])
    const { rowCount } = await client.query('select from unnest($1::integer[]) as pid where pg_terminate_backend(pid)', [rows.filter(which).map(({ pid }) => pid)])
    return (rowCount ?? 0) > 0
  })
  /** Appends wait for the lock; then who waits for it, in the midst of its transaction, is cut off. */
  const cutAppends = (random: Random) => withPostgres(async (client) => {
    await client.query('select pg_advisory_lock($1)', [APPEND_LOCK])
    await pause(random.between(20, 200))
    return cut(({ appends }) => appends)
  })
  const leaveOpen = (random: Random) => withPostgres(async (client) => {
    await client.query('begin isolation level repeatable read; select pg_current_xact_id()')
    await pause(random.between(500, 3000))
    return true
  }, Object.assign(new URL(directUrl()), { pathname: '/postgres' }).href)

  return {
    kinds: {
      'some connections cut': (random) => cut(() => random.chance(0.3)),
      'who listens cut off': () => cut(({ listens }) => listens),
      'who leads cut off': () => cut(({ leads }) => leads),
      'appends cut off in their midst': cutAppends,
      'a transaction left open elsewhere': leaveOpen,
      'every connection reset': async () => {
        proxy.reset()
        return true
      },
      'answers of Postgres lost': async (random) => {
        proxy.loseAnswers(1 + random.below(12))
        return true
      },
      'notifications lost': async (random) => {
        proxy.deafen(true)
        await pause(random.between(500, 3000))
        proxy.deafen(false)
        return true
      },
      'the network to Postgres frozen and thawed': async (random) => {
        proxy.freeze(true)
        await pause(random.between(100, 1500))
        proxy.freeze(false)
        return true
      },
      'a service frozen and thawed': async (random) => {
        const service = random.anyOf(services.filter(({ state }) => state === 'up'))
        const thaw = service && freeze(service)
        if (!thaw) return false
        // Now and then for longer than it may lead without being heard of.
        await pause(random.between(200, 4500))
        thaw()
        return true
      },
    },
    end: async () => {
      proxy.loseAnswers(0)
    },
  }
}
