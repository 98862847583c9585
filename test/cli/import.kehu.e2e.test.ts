import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { makeLog, type TestLog } from '../support/log.ts'
import { runTypeScript } from '../support/node.ts'
import { makeFolder } from './import.world.ts'

type Ran = { code: number; stdout: string; stderr: string }

describe('kehu import, as an operator types it', () => {
  let database: TestDatabase
  let log: TestLog
  let folder: Awaited<ReturnType<typeof makeFolder>>
  beforeAll(async () => {
    database = await makeDatabase()
    log = await makeLog(database)
    folder = await makeFolder()
    await folder.put('map.yaml', `
name: people
commands:
  - command: create-customer
    body:
      category: individual-retail
      name: { column: name }
      identifiers: [{ kind: mobile, value: { column: mobile } }]
      claim: false`)
  })
  afterAll(async () => {
    await folder.remove()
    await log.close()
    await database.drop()
  })

  const kehu = (...given: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [...runTypeScript, 'src/cli/kehu.ts', ...given], { env: { ...process.env, ...log.environment, DATABASE_URL: database.url, KEHU_DATA_DIR: `${folder.path}/data` } }, (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }))
    })
  const importing = (file: string, ...more: string[]) => kehu('import', `${folder.path}/${file}`, '--map', `${folder.path}/map.yaml`, ...more)
  const events = async () => (await log.events()).filter((event) => event.type === 'CustomerCreated').length

  it('ends with 0 when all rows are in, and again with 0 when they were', async () => {
    await folder.put('good.csv', 'name,mobile\n王小明,13800138000\n李雷,13900139000\n')
    const dry = await importing('good.csv', '--dry-run')
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/2 row\(s\), utf-8 \(detected\); import [0-9a-f]{32}\n2 row\(s\)\n {2}create-customer: 2 created, 0 done already, 0 refused as duplicate, 0 refused as invalid\nA dry run: nothing was written\./) })
    expect(await events()).toBe(0)
    expect(await importing('good.csv')).toMatchObject({ code: 0, stdout: expect.stringContaining('create-customer: 2 created, 0 done already') })
    const again = await importing('good.csv')
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('create-customer: 0 created, 2 done already') })
    expect(again.stderr).toContain('2/2 rows')
    expect(await events()).toBe(2)
  })

  it('ends with 1 when some were refused, names them, and lists them in the report', async () => {
    await folder.put('bad.csv', 'name,mobile\n韩梅梅,13800138000\n,13700137000\n')
    const ran = await importing('bad.csv', '--report', `${folder.path}/errors.csv`, '--as', 'old-crm')
    expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('0 created, 0 done already, 1 refused as duplicate, 1 refused as invalid') })
    expect(ran.stderr).toContain('row 2, create-customer, name: is required')
    const report = await readFile(`${folder.path}/errors.csv`, 'utf8')
    expect(report).toMatch(/^row,line,command,field,problem,reason\n1,2,create-customer,identifiers,duplicate-customer,[^\n]+\n2,3,create-customer,name,invalid-body,is required\n$/)
    for (const personal of ['韩梅梅', '13800138000', '13700137000']) expect(report + ran.stdout + ran.stderr).not.toContain(personal)
  })

  it('ends with 2 when map, file or options are wrong, before anything is written', async () => {
    await folder.put('header.csv', 'nom,mobile\n王小明,13600136000\n')
    const before = await events()
    expect(await importing('header.csv')).toMatchObject({ code: 2, stderr: expect.stringMatching(/names 1 column\(s\) the file does not have:\n {2}commands\/0\/body\/name names name/) })
    expect(await importing('nothing.csv')).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no such file') })
    expect(await kehu('import', `${folder.path}/good.csv`, '--map', `${folder.path}/no.yaml`)).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be read') })
    expect(await importing('good.csv', '--as', 'clerk')).toMatchObject({ code: 2, stderr: expect.stringContaining('is the id of an employee') })
    expect(await importing('good.csv', '--id', 'a b')).toMatchObject({ code: 2, stderr: expect.stringContaining('--id must be') })
    expect(await importing('good.csv', '--report', `${folder.path}/good.csv`)).toMatchObject({ code: 2, stderr: expect.stringContaining('--report must be a file of its own') })
    expect(await events()).toBe(before)
  })

  it('says how in its help', async () => {
    expect((await kehu('import', '--help')).stdout).toMatch(/--map <map\.yaml>[\s\S]*--dry-run[\s\S]*--id[\s\S]*--report[\s\S]*--retry-refused[\s\S]*--as/)
    expect((await kehu('--help')).stdout).toContain('kehu import febrl3.csv --map examples/import/febrl3.yaml')
  })
})
