import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../src/config.ts'
import { serve, type Service } from '../src/main.ts'
import { makeDatabase, type TestDatabase } from './support/database.ts'
import { makeLog, type TestLog } from './support/log.ts'
import { readTour, runTour, settled } from './support/tour.ts'

describe('the tours', () => {
  let database: TestDatabase
  let log: TestLog
  let service: Service
  let dataDir: string
  beforeAll(async () => {
    database = await makeDatabase()
    log = await makeLog(database)
    dataDir = await mkdtemp(join(tmpdir(), 'kehu-tour-'))
    service = await serve(readConfig({ ...log.environment, DATABASE_URL: database.url, KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent' }), () => undefined)
  })
  afterAll(async () => {
    await service.stop()
    await log.close()
    await database.drop()
    await rm(dataDir, { recursive: true, force: true })
  })

  it.each(['README.md', 'docs/tour.md'])('%s prints what it shows, when pasted', async (file) => {
    const steps = await readTour(file)
    const printed = await runTour(steps, { ...log.environment, DATABASE_URL: database.url, KEHU_DATA_DIR: dataDir }, { url: service.url, tokens: join(dataDir, 'tokens') })
    expect(steps.length).toBeGreaterThan(6)
    steps.forEach((step, index) => {
      if (step.shown !== undefined) expect(settled(printed[index] ?? '')).toBe(settled(step.shown))
    })
  })
})
