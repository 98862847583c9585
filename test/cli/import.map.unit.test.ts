import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { prepare, type Surroundings } from '../../src/cli/import/command.ts'
import { ImportFault } from '../../src/cli/import/fault.ts'
import { checkColumns, readMap } from '../../src/cli/import/map.ts'

const surroundings: Surroundings = { zone: 'Asia/Shanghai', hashId: (values) => `h(${values.join('|')})` }

const faultsOf = (text: string): string => {
  try {
    readMap(text, 'map.yaml')
  } catch (error) {
    if (error instanceof ImportFault) return error.message
    throw error
  }
  return expect.fail('the map was taken')
}

/** A map of one create-customer with these lines in its fields. */
const withFields = (...lines: string[]) => `
name: test
commands:
  - command: create-customer
    body:
      category: individual-retail
      name: x
      claim: false
      fields:
${lines.map((line) => `        ${line}`).join('\n')}`

/** The fields a row makes by such a map, or what is wrong with it. */
const fieldsFrom = (cells: Record<string, string>, ...lines: string[]) => {
  const [command] = readMap(withFields(...lines), 'map.yaml').commands
  if (!command) return expect.fail('there is no command')
  const made = prepare(command, { number: 7, line: 8, cells: new Map(Object.entries(cells)) }, surroundings)
  return made.ok ? made.prepared.body['fields'] : made.faults
}

describe('a map says what is wrong with it, and where', () => {
  it.each([
    ['that it is no YAML', 'name: [', /map\.yaml is not YAML, line 1/],
    ['that it is empty', '', /it .*expected object/],
    ['a key it does not know', 'name: x\nfiel: {}\ncommands: []', /fiel is not known here/],
    ['that commands are missing', 'name: x', /commands is required/],
    ['a command there is not, and which there are', 'name: x\ncommands:\n  - command: create-custmer\n    body: {}', /commands\/0\/command is not a command; there are create-customer, .*record-purchase/],
    ['a command no import may send', 'name: x\ncommands:\n  - command: define-policy\n    body: {}', /commands\/0\/command cannot be imported/],
    ['a field the command does not have', 'name: x\ncommands:\n  - command: record-purchase\n    body: { customerId: a, purchaseId: b, at: c, amuont: d }', /commands\/0\/body\/amuont is not a field of record-purchase; it has customerId, purchaseId, at/],
    ['a field the command needs', 'name: x\ncommands:\n  - command: record-purchase\n    body: { customerId: a, purchaseId: b }', /commands\/0\/body\/at is required by record-purchase/],
    ['that nobody would own the customer', 'name: x\ncommands:\n  - command: create-customer\n    body: { category: a, name: b }', /commands\/0\/body\/claim is required without onBehalfOf/],
    ['columns without their names', 'name: x\nfile: { header: false }\ncommands: []', /file\/columns are required for a file without a header/],
    ['an encoding nobody knows', 'name: x\nfile: { encoding: utf-9 }\ncommands: []', /file\/encoding is not an encoding/],
    ['a type there is not', withFields('a: { column: a, type: number }'), /commands\/0\/body\/fields\/a\/type must be one of text, integer/],
    ['two places a value would come from', withFields('a: { column: a, template: b }'), /fields\/a\/template cannot stand beside column/],
    ['an option of another type', withFields('a: { column: a, currency: CNY }'), /fields\/a\/currency belongs to the type money/],
    ['money without a currency', withFields('a: { column: a, type: money }'), /fields\/a\/currency is required for the type money/],
    ['a form of date of another library', withFields('a: { column: a, type: date, format: YYYY-MM-DD }'), /fields\/a\/format is not a form of date that can be read back: write yyyy-MM-dd/],
    ['a time zone there is not', withFields('a: { column: a, type: instant, zone: Beijing }'), /fields\/a\/zone must be a time zone/],
    ['an option it does not know', withFields('a: { column: a, defualt: b }'), /fields\/a\/defualt is not known here/],
    ['a template that names no column', withFields('a: "${} b"'), /fields\/a\/template has a \$\{ that names no column/],
    ['a template that is not closed', withFields('a: "${b"'), /fields\/a\/template has a \$\{ that names no column/],
  ])('%s', (_what, text, message) => {
    expect(faultsOf(text)).toMatch(message)
  })

  it('all faults at once', () => {
    expect(faultsOf(withFields('a: { column: a, type: money }', 'b: { column: b, type: date, format: YYYY }'))).toContain('has 2 fault(s)')
  })

  it('columns the file does not have, wherever they are named', () => {
    const map = readMap(`
name: test
commands:
  - command: create-customer
    once: \${id}
    onBehalfOf: { column: owner, values: { W: zhang.wei } }
    body:
      category: individual-retail
      name: { columns: [first, last] }
      identifiers: [{ kind: mobile, value: { column: mobile } }]
      fields: { notes: { column: notes, type: money, currency: '\${cur}' } }`, 'map.yaml')
    const message = () => checkColumns(map, ['id', 'first'])
    expect(message).toThrow(/4 column\(s\)|5 column\(s\)/)
    for (const place of ['commands/0/onBehalfOf names owner', 'commands/0/body/name names last', 'commands/0/body/identifiers/0/value names mobile', 'commands/0/body/fields/notes names notes', 'commands/0/body/fields/notes names cur']) {
      expect(message).toThrow(place)
    }
  })

  it('that the first line is no header, without repeating it', () => {
    const map = readMap(withFields('a: { column: a }'), 'map.yaml')
    expect(() => checkColumns(map, ['王小明', '13800138000'])).toThrow(/^(?!.*王小明).*does the file have a header/)
  })

  it('the example maps are taken', async () => {
    const examples = (await readdir('examples/import')).filter((name) => name.endsWith('.yaml'))
    expect(examples).toEqual(['cdnow.yaml', 'febrl3.yaml', 'rfm-orders.yaml'])
    for (const name of examples) readMap(await readFile(`examples/import/${name}`, 'utf8'), name)
  })
})

describe('a row becomes values', () => {
  it('as text, trimmed, and left out when empty', () => {
    expect(fieldsFrom({ a: ' x ', b: '  ', c: ' y ' }, 'a: { column: a }', 'b: { column: b }', 'c: { column: c, trim: false }', 'd: constant', 'e: { constant: true }')).toEqual({ a: 'x', c: ' y ', d: 'constant', e: true })
  })

  it('joined, the empty ones left out; templates whole or not at all', () => {
    expect(fieldsFrom({ a: 'x', b: '', c: 'z' }, 'a: { columns: [a, b, c], separator: "-" }', 'b: "${a}/${c}"', 'c: "${a}/${b}"', 'd: row-${#row}', 'e: { columns: [b], otherwise: none }')).toEqual({ a: 'x-z', b: 'x/z', d: 'row-7', e: 'none' })
  })

  it('as numbers and money, digit by digit', () => {
    const money = (text: string, options = '') => fieldsFrom({ a: text }, `a: { column: a, type: money, currency: CNY${options} }`)
    expect(money('29.33')).toEqual({ a: { amount: 2933, currency: 'CNY' } })
    expect(money('1.005,10', ', decimalMark: ",", groupMark: "."')).toEqual({ a: { amount: 100510, currency: 'CNY' } })
    expect(money('１２．５')).toEqual({ a: { amount: 1250, currency: 'CNY' } })
    expect(money('.5')).toEqual({ a: { amount: 50, currency: 'CNY' } })
    expect(money('-')).toMatchObject([{ reason: 'is not an amount (column a)' }])
    expect(money('7', ', minorUnits: 3')).toEqual({ a: { amount: 7000, currency: 'CNY' } })
    expect(money('-0.00')).toEqual({ a: { amount: 0, currency: 'CNY' } })
    expect(fieldsFrom({ a: '120', c: 'JPY' }, 'a: { column: a, type: money, currency: "${c}" }')).toEqual({ a: { amount: 120, currency: 'JPY' } })
    expect(money('1.234')).toEqual([{ field: 'fields/a', reason: 'has more than 2 decimals (column a)' }])
    expect(money('¥12')).toEqual([{ field: 'fields/a', reason: 'is not an amount (column a)' }])
    expect(money('99999999999999999')).toMatchObject([{ reason: expect.stringContaining('more than can be counted') }])
    expect(fieldsFrom({ a: '3.50', b: '3.00' }, 'a: { column: a, type: decimal }', 'b: { column: b, type: integer }')).toEqual({ a: 3.5, b: 3 })
    expect(fieldsFrom({ a: '3.5' }, 'a: { column: a, type: integer }')).toEqual([{ field: 'fields/a', reason: 'is not a whole number (column a)' }])
    expect(fieldsFrom({ a: '1e3' }, 'a: { column: a, type: decimal }')).toMatchObject([{ reason: 'is not a number (column a)' }])
  })

  it('as days and instants of a form and a zone', () => {
    const at = (text: string, options: string) => fieldsFrom({ a: text }, `a: { column: a, ${options} }`)
    expect(at('19970101', 'type: date, format: yyyyMMdd')).toEqual({ a: '1997-01-01' })
    expect(at('2026年3月3日', 'type: date, format: yyyy年M月d日')).toEqual({ a: '2026-03-03' })
    expect(at('2026-03-03 09:30', 'type: instant, format: "yyyy-MM-dd HH:mm"')).toEqual({ a: '2026-03-03T01:30:00.000Z' })
    expect(at('2026-03-03 09:30', 'type: instant, format: "yyyy-MM-dd HH:mm", zone: America/New_York')).toEqual({ a: '2026-03-03T14:30:00.000Z' })
    expect(at('2026-03-03T09:30:00+02:00', 'type: instant')).toEqual({ a: '2026-03-03T07:30:00.000Z' })
    expect(at('19970231', 'type: date, format: yyyyMMdd')).toEqual([{ field: 'fields/a', reason: 'is not a date of the form yyyyMMdd (column a)' }])
    expect(at('12:30', 'type: instant')).toMatchObject([{ field: 'fields/a' }])
    expect(at('2026', 'type: date')).toMatchObject([{ field: 'fields/a' }])
    expect(at('3/3/2026', 'type: instant')).toMatchObject([{ reason: 'is not a time of the form yyyy-MM-dd (column a)' }])
  })

  it('translated, and refused where the map has no translation', () => {
    const map = 'sex: { column: a, values: { M: male, F: female, 1: true } }'
    expect(fieldsFrom({ a: 'F' }, map)).toEqual({ sex: 'female' })
    expect(fieldsFrom({ a: '1' }, map)).toEqual({ sex: true })
    expect(fieldsFrom({ a: '' }, map)).toEqual(undefined)
    expect(fieldsFrom({ a: 'constructor' }, map)).toMatchObject([{ field: 'fields/sex', reason: expect.stringContaining('not one of the values the map translates') }])
  })

  it('hashed, when all that is hashed is there', () => {
    expect(fieldsFrom({ a: 'x ', b: 'y' }, 'a: { hash: [a, b], prefix: crm }', 'b: { hash: a }')).toEqual({ a: 'crm-h(x|y)', b: 'h(x)' })
    expect(fieldsFrom({ a: 'x', b: ' ' }, 'a: { hash: [a, b] }', 'b: c')).toEqual({ b: 'c' })
  })

  it('in lists and objects, left out where the row fills nothing in them', () => {
    const map = readMap(`
name: test
commands:
  - command: create-customer
    onBehalfOf: { column: owner }
    body:
      customerId: crm-\${id}
      category: individual-retail
      name: { column: name }
      identifiers:
        - { kind: mobile, value: { column: mobile } }
        - { kind: email, value: { column: email } }
      contacts:
        - { name: { column: contact }, fields: { title: { column: title }, role: insider } }
      enteredBy: { column: owner }
      enteredAt: { column: since, type: instant, format: yyyy-MM-dd }`, 'map.yaml')
    const from = (cells: Record<string, string>) => {
      const [command] = map.commands
      const made = command && prepare(command, { number: 1, line: 2, cells: new Map(Object.entries(cells)) }, surroundings)
      return made?.ok ? { body: made.prepared.body, onBehalfOf: made.prepared.onBehalfOf, keys: made.prepared.keys } : made?.faults
    }
    expect(from({ id: '7', name: 'n', mobile: '138 0013 8000', owner: 'zhang.wei', since: '2019-05-06' })).toEqual({
      body: { customerId: 'crm-7', category: 'individual-retail', name: 'n', identifiers: [{ kind: 'mobile', value: '138 0013 8000' }], enteredBy: 'zhang.wei', enteredAt: '2019-05-05T16:00:00.000Z' },
      onBehalfOf: 'zhang.wei', keys: ['customerId crm-7', 'identifier mobile +8613800138000'],
    })
    expect(from({ id: '8', name: 'n', title: 't' })).toMatchObject({ body: { contacts: [{ fields: { title: 't', role: 'insider' } }] }, onBehalfOf: null })
    // Constants alone are no contact and no identifier; they stay beside what the row fills.
    expect(from({ id: '8', name: 'n' })).toMatchObject({ body: { customerId: 'crm-8' } })
    expect(from({ id: '8', name: 'n' })).not.toHaveProperty('body.contacts')
    // Without the id that was meant it would be somebody new.
    expect(from({ id: '', name: 'n' })).toEqual([{ field: 'customerId', reason: 'is empty in this row (column id)' }])
    expect(from({ id: '9', name: 'n', owner: '张伟' })).toEqual([{ field: 'onBehalfOf', reason: 'is not the id of an employee' }])
  })
})
