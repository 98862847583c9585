import { join } from 'node:path'
import { z } from 'zod'
import { readConfig } from '../src/config.ts'
import { handleNamed } from '../src/commands/send.ts'
import { firstDepartment } from '../src/commands/bootstrap.ts'
import type { Caller } from '../src/domain/decider.ts'
import { openCore } from '../src/main.ts'
import { projections } from '../src/projections/all.ts'
import { fillLog } from './fill.ts'
import { portfolio } from './mix.ts'
import type { BenchmarkOptions, Figure } from './report.ts'
import { startServiceOn } from './service.ts'
import { openWorld, type World } from './world.ts'

const CUSTOMERS = 100_000
const COLLEAGUES = 10
const SEED = 1
const LOOK_MS = 200
const LEAVER = 'leaver'

const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
const Handovers = z.object({ items: z.array(z.object({ handoverId: z.string(), held: z.number(), moved: z.number(), pooled: z.number(), otherwise: z.number(), remaining: z.number(), completedAt: z.string().nullable() })) })
const Projections = z.object({ items: z.array(z.object({ state: z.string(), lag: z.number() })) })

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** An employee who holds so many departs: how long until every one is somebody else's, by load among ten colleagues. */
export const benchmarkHandover = async ({ say, size = CUSTOMERS, kills = 0 }: BenchmarkOptions): Promise<Figure[]> => {
  const world = await openWorld()
  try {
    return await measureOn(world, { customers: size, kills, say })
  } finally {
    await world.close()
  }
}

const measureOn = async ({ url, pool, folder }: World, { customers, kills, say }: { customers: number; kills: number; say: BenchmarkOptions['say'] }): Promise<Figure[]> => {
  const dataDir = join(folder, 'kehu')
  const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir }), url, say)
  const register = async (command: string, body: object) => {
    const { status, body: answer } = await handleNamed(core.runtime, command, body, { caller: admin })
    if (status >= 300) throw new Error(`${command}: ${JSON.stringify(answer)}`)
  }
  await register('register-department', { departmentId: 'sales', name: '销售部', parentId: firstDepartment.departmentId })
  for (const employeeId of [LEAVER, ...Array.from({ length: COLLEAGUES }, (_, index) => `colleague-${index}`)]) await register('register-employee', { employeeId, name: '客户经理', departmentId: 'sales' })
  say(`writing ${customers.toLocaleString('en')} customers of one employee`)
  await fillLog({ pool, keyring: core.keyring, events: Infinity, seed: SEED, happenings: portfolio(SEED, LEAVER, customers, Date.now()) })
  await core.close()

  let service = await startServiceOn(url, dataDir)
  const ask = async <T>(path: string, role: string, shape: z.ZodType<T>, init: RequestInit = {}): Promise<T> => {
    const send = async () => fetch(`${service.url}${path}`, { ...init, headers: { authorization: `Bearer ${await service.token(role)}`, 'content-type': 'application/json' } })
    let response = await send()
    // Still catching up with what it has just written.
    while (response.status === 503) {
      await pause(LOOK_MS)
      response = await send()
    }
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return shape.parse(await response.json())
  }
  /** Every read model is there and at the end of the log. */
  const untilLive = async (): Promise<void> => {
    const items = (await ask('/projections', 'admin', Projections)).items.filter(({ state, lag }) => state === 'live' && lag === 0)
    if (items.length >= projections.length) return
    await pause(LOOK_MS)
    await untilLive()
  }
  try {
    await untilLive()
    await pool.query('vacuum analyze')

    say(`the read models are there: the employee departs${kills > 0 ? `, and the service is killed ${kills} times` : ''}`)
    const look = await watch(pool)
    const started = performance.now()
    await ask('/commands/depart-employee', 'admin', z.looseObject({}), { method: 'POST', body: JSON.stringify({ employeeId: LEAVER, reason: '离职', handover: { to: 'department', departmentId: 'sales', by: 'load' } }) })
    let killed = 0
    for (;;) {
      await pause(LOOK_MS)
      const { moved, completed } = await look()
      if (completed) break
      if (killed < kills && moved >= (customers * (killed + 1)) / (kills + 1)) {
        await service.kill()
        killed += 1
        say(`killed with ${moved.toLocaleString('en')} moved`)
        service = await startServiceOn(url, dataDir)
      }
    }
    const seconds = (performance.now() - started) / 1000
    const { position } = await ask('/commands/register-department', 'admin', z.looseObject({ position: z.string() }), { method: 'POST', body: JSON.stringify({ name: '收尾' }) })
    await untilLive()
    const { items: [ledger] } = await ask(`/handovers?from=${LEAVER}&after=${position}`, 'auditor', Handovers)
    await check(pool, customers, ledger)
    say(`each of ${customers.toLocaleString('en')} customers was moved exactly once, none was lost, and the ledger says so${kills > 0 ? `; the service was killed ${killed} times` : ''}`)
    return [{ name: `handover of ${customers}${kills > 0 ? `, ${killed} kills` : ''}`, value: seconds, unit: 's', ratios: {} }, { name: 'customers handed over', value: customers / seconds, unit: 'customers/s', ratios: {} }]
  } finally {
    await service.stop()
  }
}

/** Watches the log from its end on, reading each event once: a look at all of it would take the time that is measured. */
const watch = async (pool: World['pool']): Promise<() => Promise<{ moved: number; completed: boolean }>> => {
  const { rows: [last] } = await pool.query<{ position: string }>('select max(position) as position from kehu.event')
  let seen = last?.position ?? '0'
  let moved = 0
  let completed = false
  return async () => {
    const { rows } = await pool.query<{ position: string; type: string }>('select position, type from kehu.event where position > $1 order by position', [seen])
    seen = rows.at(-1)?.position ?? seen
    moved += rows.filter(({ type }) => type === 'OwnershipTransferred').length
    completed ||= rows.some(({ type }) => type === 'HandoverCompleted')
    return { moved, completed }
  }
}

/** From the log itself, and beside it from the ledger. */
const check = async (pool: World['pool'], customers: number, ledger: z.infer<typeof Handovers>['items'][number] | undefined): Promise<void> => {
  const { rows: [row] } = await pool.query<{ streams: string; events: string; others: string; least: string; most: string; told: string }>(`
    with moved as (select stream, data::jsonb ->> 'ownerId' as owner, data::jsonb ->> 'from' as was from kehu.event where type in ('OwnershipTransferred', 'OwnershipReleased')),
      owners as (select owner, count(*) as n from moved group by owner)
    select count(distinct stream) as streams, count(*) as events, count(*) filter (where was <> '${LEAVER}' or owner is null) as others,
      (select min(n) from owners) as least, (select max(n) from owners) as most, (select data::jsonb ->> 'moved' from kehu.event where type = 'HandoverCompleted') as told from moved`)
  const found = { streams: Number(row?.streams), events: Number(row?.events), others: Number(row?.others), told: Number(row?.told), ledger: ledger && { held: ledger.held, moved: ledger.moved, pooled: ledger.pooled, otherwise: ledger.otherwise, remaining: ledger.remaining } }
  const wanted = { streams: customers, events: customers, others: 0, told: customers, ledger: { held: customers, moved: customers, pooled: 0, otherwise: 0, remaining: 0 } }
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`not what was wanted: ${JSON.stringify(found)}`)
  if (Number(row?.most) - Number(row?.least) > 1) throw new Error(`not spread evenly: from ${row?.least} to ${row?.most}`)
}
