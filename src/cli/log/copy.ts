import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { makeKeyedHash, type KeyedHash } from '../../commands/keyed-hash.ts'
import type { Config } from '../../config.ts'
import type * as system from '../../domain/system/system.ts'
import { CopyFault, differenceOf, makeCopy, type Comparison } from '../../event-store/copy.ts'
import { fingerprint } from '../../event-store/keyring.ts'
import { EventStoreUnavailable } from '../../event-store/port.ts'
import { secretFiles } from '../../secrets.ts'
import { withDatabase } from '../core.ts'
import { isSameAddress, readAddress, type Address } from './address.ts'
import { copyBar } from './bar.ts'
import { hasService, holdsTable, isSameDatabase, migrateTarget, missingEvents, openLog, openPool, settlePending, unreachable, type OpenLog } from './open.ts'
import { appendCopied, completes, isCompleted, readKnownLog, type KnownLog } from './place.ts'

export type CopyOptions = { from: string; to: string; fromPrefix?: string; toPrefix?: string; verifyOnly?: boolean; whileRunning?: boolean }

type Opened = Exclude<Address, { kind: 'installation' }>
type Work = { config: Config; options: CopyOptions; from: Opened; source: OpenLog; target: OpenLog; installation: pg.Pool | undefined }

/** `kehu log copy`. Exit code 0 when the target is what was asked for, 1 with one line saying what is in the way. */
export const copyLog = async (config: Config, options: CopyOptions): Promise<void> => {
  if (options.verifyOnly && options.whileRunning) throw new CopyFault('--verify-only writes nothing: it needs no --while-running')
  const from = readAddress('--from', options.from, options.fromPrefix, config)
  const to = readAddress('--to', options.to, options.toPrefix, config)
  if (isSameAddress(from, to)) throw new CopyFault('--from and --to are the same log')
  await withInstallation(config, from.kind === 'installation' || to.kind === 'installation', async (installation) => {
    const opened = (address: Address): Opened => (address.kind === 'installation' ? { kind: 'postgres', url: installation?.url ?? '', shown: address.shown } : address)
    await withLog('source', opened(from), (source) =>
      withLog('target', opened(to), async (target) => {
        console.log(`From ${source.shown} to ${target.shown}`)
        await run({ config, options, from: opened(from), source, target, installation: installation?.pool })
      }))
  })
}

/** With the Postgres that holds keyring and receipts: that of this installation, where there is one. */
const withInstallation = async (config: Config, needed: boolean, work: (installation: { url: string; pool: pg.Pool } | undefined) => Promise<void>): Promise<void> => {
  if (!needed && config.databaseUrl === undefined && !existsSync(join(config.dataDir, 'postgres'))) return work(undefined)
  await withDatabase(config, async (url) => {
    const pool = openPool(url)
    try {
      await pool.query('select 1').catch((error: unknown) => {
        throw unreachable('The Postgres of this installation', error)
      })
      await work({ url, pool })
    } finally {
      await pool.end()
    }
  })
}

const withLog = async (side: OpenLog['side'], address: Opened, work: (log: OpenLog) => Promise<void>): Promise<void> => {
  const log = await openLog(side, address)
  await work(log).finally(log.close)
}

const run = async ({ config, options, from, source, target, installation }: Work): Promise<void> => {
  if (source.pool && target.pool && (await isSameDatabase(source.pool, target.pool))) throw new CopyFault('--from and --to are the same database')
  const known = await logIn(source)
  if (!known) throw new CopyFault(`The source, ${source.shown}, holds no log of Kehu${from.kind === 'eventstoredb' ? ': is it kept under a prefix (--from-prefix)?' : ''}`)
  const there = await logIn(target)

  const end = await source.store.head()
  const bar = copyBar()
  const say = (message: string) => {
    bar.stop()
    console.log(message)
  }
  const copy = makeCopy(source.store, target.store, ({ doing, events, position }) => bar.update({ title: doing, events, position, end }))
  try {
    if (isCompleted(known.log, there?.log)) return say(completed(await copy.compare(), known.log))
    if (options.verifyOnly) {
      if (!there) throw new CopyFault(`The target, ${target.shown}, holds no log of Kehu`)
      return say(verified(await copy.compare()))
    }
    const pools = new Set([installation, source.pool, target.pool].filter((pool) => pool !== undefined))
    if (!options.whileRunning) await refuseService(pools)
    const keyedHash = await identityOf(config, known.log)
    const missing = source.pool ? await missingEvents(source.pool) : 0
    if (missing > 0) throw new CopyFault(`The source is damaged: ${missing} event(s) are missing, its positions have gaps`)
    if (target.pool) await migrateTarget(target.pool)
    if (!options.whileRunning && installation && from.kind === 'eventstoredb') await settlePending(installation, from, known.log.places.at(-1) ?? '', say)

    const found = await copy.compare()
    if (found.kind === 'ahead' || found.kind === 'different') throw new CopyFault(differenceOf(found))
    if (found.events > 0) say(`The target has the first ${count(found.events)} of them already: going on from there`)
    if (options.whileRunning) return say(`Copied ahead: ${count(found.events + (await copy.copyOn()))}. Stop the service, then run the same without --while-running: only what has come since is copied, compared, and the copy completed.`)

    const events = await copy.finish({ onMoved: () => say('The source was written to meanwhile: copying on') })
    await refuseService(pools)
    const placeId = await appendCopied(target.store, keyedHash)
    say(`${count(events)} copied and compared: ids, order, content and every hash chain are the same. The log is now also at place ${placeId}.`)
    console.log(await nextStep(target, installation))
  } catch (error) {
    throw error instanceof EventStoreUnavailable ? new CopyFault(`Interrupted, ${error.message}: run the same again, it goes on where it stopped`, { cause: error }) : error
  } finally {
    bar.stop()
  }
}

const logIn = async ({ store, pool, side }: OpenLog): Promise<KnownLog | undefined> => {
  if (pool && !(await holdsTable(pool))) return undefined
  return readKnownLog(store).catch((error: unknown) => {
    throw new CopyFault(`The ${side} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  })
}

const refuseService = async (pools: ReadonlySet<pg.Pool>): Promise<void> => {
  for (const pool of pools) if (await hasService(pool)) throw new CopyFault('A service is running: stop it first, for what it writes to the source after the copy would be lost. (--while-running copies ahead; the copy is then completed in a short stop)')
}

/** The key the log was opened with, which LogCopied is made under: so this runs where the service does. */
const identityOf = async (config: Config, log: system.Log): Promise<KeyedHash> => {
  const key = config.identityKey ?? (await readFile(secretFiles(config.dataDir).identity, 'utf8').then((text) => Buffer.from(text.trim(), 'base64'), () => undefined))
  if (key === undefined || fingerprint(key) !== log.identityKey) {
    throw new CopyFault(`The log was opened with identity key ${log.identityKey}, and ${key === undefined ? 'none' : fingerprint(key)} is configured: run this with the environment and data folder of the service`)
  }
  return makeKeyedHash(key)
}

const count = (events: number): string => `${events.toLocaleString('en')} event(s)`

const completed = (found: Comparison, source: system.Log): string => {
  if (found.kind === 'ahead' && completes(found.next, source)) return `The copy is complete: the ${count(found.events)} of the source are in the target, unchanged, which has gone on from there under a place of its own. There is nothing to do.`
  if (found.kind === 'different' && completes(found.inTarget, source)) throw new CopyFault(`The copy was completed after ${count(found.events)}, and the source has been written to since (${found.inSource.type} on ${found.inSource.stream}): what was written there is not in the target`)
  throw new CopyFault(differenceOf(found))
}

const verified = (found: Comparison): string => {
  if (found.kind === 'same') return `The ${count(found.events)} of the source are in the target, unchanged; the copy is not completed yet: run the same without --verify-only.`
  if (found.kind === 'behind') throw new CopyFault(`The target has the first ${count(found.events)} of the source and lacks the rest: run the same without --verify-only`)
  throw new CopyFault(differenceOf(found))
}

const nextStep = async (target: OpenLog, installation: pg.Pool | undefined): Promise<string> => {
  const how = target.pool === undefined ? `set EVENTSTORE_URL to its connection string${target.prefix === undefined ? '' : ` and EVENTSTORE_PREFIX to ${target.prefix}`}`
    : installation && (await isSameDatabase(installation, target.pool)) ? 'unset EVENTSTORE_URL and EVENTSTORE_PREFIX'
      : 'unset EVENTSTORE_URL, set DATABASE_URL to it once it holds the keyring and the receipts too (they are not copied)'
  return `Next: ${how}, and start the service: read models are built anew by themselves; keyring and receipts stay in Postgres. Keep the old log until the new one has been backed up; from the first start on, going back is copying back.`
}
