import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { adoptPlace, checkUnplaced, WrongPlace } from '../../src/event-store/place.ts'
import { makeProcessLog } from '../../src/event-store/process-log.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { makeReceipt, times } from './contract.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await makeDatabase()
})
afterEach(() => database.drop())

const keep = async (position: number | null): Promise<void> => {
  const { commandId, commandHash, command, streams, status, recordedAt } = makeReceipt([])
  await database.pool.query('insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at) values ($1, $2, $3, $4, $5, $6, $7, $8)', [commandId, commandHash, command, streams, status, '{}', position, recordedAt])
}
const positions = async (): Promise<(string | null)[]> => (await database.pool.query<{ position: string | null }>('select position from kehu.receipt order by position nulls last')).rows.map(({ position }) => position)
const places = async (): Promise<string[]> => (await database.pool.query<{ place_id: string }>('select place_id from kehu.place')).rows.map(({ place_id }) => place_id)
const adopt = (...known: string[]) => adoptPlace(database.pool, known)

describe('the place of a log', () => {
  it('is taken down at the first start, whose receipts are those of that log', async () => {
    await keep(7)
    await adopt('here')
    expect(await places()).toEqual(['here'])
    expect(await positions()).toEqual(['7'])
  })

  it('is the same at every later start, and nothing changes', async () => {
    await adopt('here')
    await keep(7)
    await keep(null)
    await adopt('here')
    expect([await places(), await positions()]).toEqual([['here'], ['7', null]])
  })

  it('has moved: receipts’ positions read as reached, once; later ones are those of the new place', async () => {
    await adopt('here')
    for (const position of [7, 9, null]) await keep(position)
    await adopt('here', 'there')
    expect([await places(), await positions()]).toEqual([['there'], ['0', '0', null]])
    await keep(3)
    await adopt('here', 'there')
    expect(await positions()).toEqual(['0', '0', '3', null])
  })

  it('has moved: processes look at all of it once more, and at no later start', async () => {
    const log = makeProcessLog(database.pool)
    await adopt('here')
    await log.advance('purchase-reactions', 7_000_000n)
    await adopt('here')
    expect(await log.position('purchase-reactions')).toBe(7_000_000n)
    await adopt('here', 'there')
    expect(await log.position('purchase-reactions')).toBe(0n)
    await log.advance('purchase-reactions', 12n)
    await adopt('here', 'there')
    expect(await log.position('purchase-reactions')).toBe(12n)
  })

  it('has moved twice since this database knew it, or was never known to it although it has moved', async () => {
    await adopt('here', 'there')
    await keep(7)
    await adopt('here', 'there', 'yonder', 'home')
    expect([await places(), await positions()]).toEqual([['home'], ['0']])
  })

  it('is taken down once by many processes that start at once, the first time and when it has moved', async () => {
    await keep(7)
    await Promise.all(times(8, () => adopt('here')))
    expect([await places(), await positions()]).toEqual([['here'], ['7']])
    // The second comes while the first has not committed; a receipt of the new place comes between.
    const first = await database.pool.connect()
    await first.query('begin')
    await first.query(`update kehu.place set place_id = 'there'`)
    const second = adopt('here', 'there')
    await first.query('update kehu.receipt set position = 3')
    await first.query('commit')
    first.release()
    await second
    expect([await places(), await positions()]).toEqual([['there'], ['3']])
    await Promise.all(times(8, () => adopt('here', 'there', 'yonder')))
    expect([await places(), await positions()]).toEqual([['yonder'], ['0']])
  })

  it('of a log that is no copy is refused, and so is the log’s own past; nothing changes', async () => {
    await adopt('here', 'there')
    await keep(7)
    await expect(adopt('elsewhere')).rejects.toBeInstanceOf(WrongPlace)
    await expect(adopt('here', 'other')).rejects.toThrow('belongs to the log at place there')
    // The place it was copied from: going on there would leave what came since behind.
    await expect(adopt('here')).rejects.toBeInstanceOf(WrongPlace)
    expect([await places(), await positions()]).toEqual([['there'], ['7']])
  })
})

describe('an empty log', () => {
  it('may be begun with a database that has known none, and with no other', async () => {
    await checkUnplaced(database.pool)
    await adopt('here')
    await expect(checkUnplaced(database.pool)).rejects.toBeInstanceOf(WrongPlace)
    await expect(checkUnplaced(database.pool)).rejects.toThrow('place here')
  })
})
