import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMap } from '../../src/cli/import/map.ts'
import { openSource } from '../../src/cli/import/rows.ts'
import { makeFolder } from './import.world.ts'

let folder: Awaited<ReturnType<typeof makeFolder>>
beforeAll(async () => {
  folder = await makeFolder()
})
afterAll(() => folder.remove())

const settings = (file: string) => readMap(`name: x\nfile: {${file}}\ncommands:\n  - command: create-customer\n    body: { category: a, name: b, claim: false }`, 'map.yaml').file
const rowsOf = async (content: string | Uint8Array, file = '') => {
  const source = await openSource(await folder.put('file.csv', content), settings(file))
  const rows = await Array.fromAsync(source.read())
  expect(rows).toHaveLength(source.rows)
  return { source, rows: rows.map((row) => Object.fromEntries(row.cells)), numbers: rows.map((row) => [row.number, row.line]), faults: rows.map((row) => row.fault) }
}
/** 姓名,城市 and 王小明,深圳 in GB18030; 㐂 takes four bytes there. */
const gb18030 = Uint8Array.from([0xd0, 0xd5, 0xc3, 0xfb, 0x2c, 0xb3, 0xc7, 0xca, 0xd0, 0x0a, 0xcd, 0xf5, 0xd0, 0xa1, 0xc3, 0xf7, 0x81, 0x39, 0xef, 0x31, 0x2c, 0xc9, 0xee, 0xdb, 0xda, 0x0a])

describe('a file is read as what it is', () => {
  it('GB18030, detected', async () => {
    const { source, rows } = await rowsOf(gb18030)
    expect(source).toMatchObject({ encoding: 'gb18030', detected: true, columns: ['姓名', '城市'] })
    expect(rows).toEqual([{ 姓名: '王小明㐂', 城市: '深圳' }])
  })

  it('GB18030 with a byte-order mark', async () => {
    expect((await rowsOf(Buffer.concat([Uint8Array.from([0x84, 0x31, 0x95, 0x33]), gb18030]))).source.columns).toEqual(['姓名', '城市'])
  })

  it('UTF-8 with a byte-order mark, and with Windows line ends', async () => {
    const { source, rows } = await rowsOf('\uFEFF姓名,城市\r\n王小明,深圳\r\n')
    expect(source).toMatchObject({ encoding: 'utf-8', columns: ['姓名', '城市'] })
    expect(rows).toEqual([{ 姓名: '王小明', 城市: '深圳' }])
  })

  it('UTF-16 by its mark, tabs between the columns', async () => {
    const { source, rows } = await rowsOf(Buffer.from('\uFEFF姓名\t城市\t备注\n王小明\t\t x \n', 'utf16le'), 'delimiter: "\\t"')
    expect(source.encoding).toBe('utf-16le')
    expect(rows).toEqual([{ 姓名: '王小明', 城市: '', 备注: 'x' }])
  })

  it('an encoding the map names', async () => {
    const { source, rows } = await rowsOf(Uint8Array.from([0x61, 0x2c, 0x62, 0x0a, 0xe9, 0x2c, 0x31, 0x0a]), 'encoding: windows-1252')
    expect(source).toMatchObject({ encoding: 'windows-1252', detected: false })
    expect(rows).toEqual([{ a: 'é', b: '1' }])
  })

  it('characters that lie across the pieces it is read in', async () => {
    const long = `a,b\n${'王小明,深圳\n'.repeat(20_000)}`
    expect((await rowsOf(`x${long}`.replace('x', ''))).rows.every((row) => row['a'] === '王小明' && row['b'] === '深圳')).toBe(true)
    const line = gb18030.subarray(10)
    const many = Buffer.concat([gb18030.subarray(0, 10), ...Array.from({ length: 20_000 }, () => line)])
    expect((await rowsOf(many)).rows.every((row) => row['姓名'] === '王小明㐂')).toBe(true)
  })

  it('columns with blanks between them, without a header', async () => {
    const { rows, numbers } = await rowsOf(' 00004 0001 19970101  2   29.33\r\n\r\n 00004 0001 19970118  2   29.73', 'format: whitespace, header: false, columns: [a, b, c, d, e]')
    expect(rows).toEqual([{ a: '00004', b: '0001', c: '19970101', d: '2', e: '29.33' }, { a: '00004', b: '0001', c: '19970118', d: '2', e: '29.73' }])
    expect(numbers).toEqual([[1, 1], [2, 3]])
  })

  it('quotes, line ends within them, signs of a delimiter and of a quote', async () => {
    const { rows, numbers } = await rowsOf('a; b\n"x;""y""\nz" ; "1"\n\n2;3\n', 'delimiter: ";"')
    expect(rows).toEqual([{ a: 'x;"y"\nz', b: '1' }, { a: '2', b: '3' }])
    expect(numbers).toEqual([[1, 3], [2, 5]])
    expect((await rowsOf('a,b\n5" disc,x\n', 'quote: null')).rows).toEqual([{ a: '5" disc', b: 'x' }])
  })

  it('values that stand for nothing', async () => {
    expect((await rowsOf('a,b\nNULL, - \n', 'empty: ["NULL", "-"]')).rows).toEqual([{ a: '', b: '' }])
  })

  it('rows with too few or too many columns are at fault, the others are read', async () => {
    const { faults, rows } = await rowsOf('a,b\n1\n1,2,3\n1,2\n')
    expect(faults).toEqual(['the row has 1 columns, not 2', 'the row has 3 columns, not 2', undefined])
    expect(rows[2]).toEqual({ a: '1', b: '2' })
  })
})

describe('a file that cannot be read is refused before anything is written', () => {
  it.each<[string, string | Uint8Array, string, RegExp]>([
    ['no known encoding', Uint8Array.from([0x61, 0x0a, 0xff, 0xff, 0x0a]), '', /neither UTF-8 nor GB18030 from end to end: name its encoding/],
    ['not the encoding named', gb18030, 'encoding: utf-8', /is not utf-8 from end to end/],
    ['cut off within a character', gb18030.subarray(0, 1), '', /neither UTF-8 nor GB18030/],
    ['empty', '', '', /is empty/],
    ['one name for two columns', 'a,b,a\n', '', /has the column a twice/],
    ['a quote that is never closed', 'a,b\n1,2\n"x,3\n4,5\n', '', /not well-formed CSV, line \d+: a " opened there or before is never closed/],
    ['a quote within a value', 'a,b\n1,2\n5" disc,3\n', '', /not well-formed CSV, line 3: a " stands within a value/],
    ['text after a closing quote', 'a,b\n1,2\n"王小明"x,3\n', '', /not well-formed CSV, line 3/],
  ])('%s', async (_what, content, file, message) => {
    const reading = rowsOf(content, file)
    await expect(reading).rejects.toThrow(message)
    await expect(reading).rejects.not.toThrow(/王小明|disc,/)
  })

  it('no such file', async () => {
    await expect(openSource(`${folder.path}/nothing.csv`, settings(''))).rejects.toThrow(/nothing\.csv cannot be read: there is no such file/)
  })
})
