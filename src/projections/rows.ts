import { CompiledQuery, sql, type RawBuilder, type Transaction } from 'kysely'
import { makeArrayWriter, type ArrayWriter } from '../event-store/binary.ts'
import { PREPARED, UNWAITED } from './kysely.ts'
import type { Table } from './table.ts'

/** The type of a column without what else its definition says. */
const typeOf = (table: Table, column: string): string => {
  const found = table.columns.find((one) => one.name === column)
  if (!found) throw new TypeError(`${table.name} has no column ${column}`)
  return found.type.replace(/ (not null|generated).*$/, '')
}

/** The values of a column, or null, each of the type it is written as. */
const all = <Value>(is: (value: unknown) => value is Value, values: readonly unknown[]): (Value | null)[] =>
  values.map((value) => {
    if (value === null || is(value)) return value
    throw new TypeError(`a ${typeof value} is not written in a column like this`)
  })
const isText = (value: unknown): value is string => typeof value === 'string'
const isInteger = (value: unknown): value is number => Number.isInteger(value)
const isTruth = (value: unknown): value is boolean => typeof value === 'boolean'

/** How the values of a column are written, by its type. */
const writers: Readonly<Record<string, (write: ArrayWriter, values: readonly unknown[]) => Buffer>> = {
  text: (write, values) => write.texts(all(isText, values)),
  integer: (write, values) => write.integers(all(isInteger, values)),
  bigint: (write, values) => write.bigints(all(isText, values)),
  boolean: (write, values) => write.booleans(all(isTruth, values)),
  timestamptz: (write, values) => write.instants(all(isText, values)),
}
/** Those of any other type go as text, which Postgres reads: JSON and ranges, numbers with a fraction. */
const asText = (write: ArrayWriter, values: readonly unknown[]): Buffer => write.texts(all(isText, values.map((value) => (typeof value === 'number' ? String(value) : value))))
/** About how long a value is. */
const BYTES = 32

/** A statement that rows are written by, made and compiled once: in each batch its text is the same, and only what it is given another. */
const written = new Map<string, string>()
const write = async (trx: Transaction<unknown>, key: string, parameters: readonly unknown[], make: () => RawBuilder<unknown>): Promise<void> => {
  let text = written.get(key)
  if (text === undefined) written.set(key, (text = make().compile(trx).sql))
  await trx.executeQuery(CompiledQuery.raw(text, [...parameters]))
}

/** Rows as an array for each column, however many: so the statement is the same, and is prepared. */
const asArrays = (table: Table, columns: readonly string[], rows: readonly object[]) => {
  const arrays = makeArrayWriter(rows.length * columns.length * BYTES)
  const parameters = columns.map((column) => (writers[typeOf(table, column)] ?? asText)(arrays, rows.map((row): unknown => Reflect.get(row, column) ?? null)))
  const isWritten = (column: string): boolean => writers[typeOf(table, column)] !== undefined
  return {
    parameters,
    from: () => sql`unnest(${sql.join(columns.map((column, at) => sql`${parameters[at]}::${sql.raw(isWritten(column) ? typeOf(table, column) : 'text')}[]`))}) as new (${sql.join(columns.map((column) => sql.id(column)))})`,
    value: (column: string) => sql`new.${sql.id(column)}${sql.raw(isWritten(column) ? '' : `::${typeOf(table, column)}`)}`,
  }
}

/**
 * Inserts rows in one statement; like all that is written here it is not waited for: what fails fails the transaction. `onConflict` names the key that may be there already, and the columns that then take
 * the new values: no key may come twice in one call. All rows have the columns of the first.
 */
export const insertRows = async (trx: Transaction<unknown>, schema: string, table: Table, rows: readonly object[], onConflict?: { key: readonly string[]; update: readonly string[] }): Promise<void> => {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first)
  const { parameters, from, value } = asArrays(table, columns, rows)
  await write(trx, `insert ${schema} ${table.name} ${columns.join()} ${onConflict?.key.join()} ${onConflict?.update.join()}`, parameters, () => {
    const conflict = onConflict
      ? sql`on conflict (${sql.join(onConflict.key.map((column) => sql.id(column)))}) do update set ${sql.join(onConflict.update.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`))}`
      : sql``
    return sql`${PREPARED} ${UNWAITED} insert into ${sql.id(schema, table.name)} (${sql.join(columns.map((column) => sql.id(column)))}) select ${sql.join(columns.map(value))} from ${from()} ${conflict}`
  })
}

/** Sets other columns of the rows that a key names, and that `where` holds for, in one statement. */
export const updateRows = async (trx: Transaction<unknown>, schema: string, table: Table, rows: readonly object[], { key, where }: { key: readonly string[]; where: string }): Promise<void> => {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first)
  const { parameters, from, value } = asArrays(table, columns, rows)
  await write(trx, `update ${schema} ${table.name} ${columns.join()} ${key.join()} ${where}`, parameters, () => sql`${PREPARED} ${UNWAITED}
    update ${sql.id(schema, table.name)} as old
    set ${sql.join(columns.filter((column) => !key.includes(column)).map((column) => sql`${sql.id(column)} = ${value(column)}`))}
    from ${from()} where ${sql.join(key.map((column) => sql`old.${sql.id(column)} = ${value(column)}`), sql` and `)} and ${sql.raw(where)}`)
}

/** Deletes the rows that have one of these values in a column. */
export const deleteRows = async (trx: Transaction<unknown>, schema: string, table: Table, column: string, values: readonly string[]): Promise<void> => {
  if (values.length > 0) await sql`${PREPARED} ${UNWAITED} delete from ${sql.id(schema, table.name)} where ${sql.id(column)} = any(${values})`.execute(trx)
}

/** The table of that name. */
export const tableNamed = (tables: readonly Table[], name: string): Table => {
  const found = tables.find((table) => table.name === name)
  if (!found) throw new TypeError(`there is no table ${name}`)
  return found
}
