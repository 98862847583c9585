import { sql, type Transaction } from 'kysely'
import type { Table } from './table.ts'

/** The type of a column without what else its definition says. */
const typeOf = (table: Table, column: string): string => {
  const found = table.columns.find((one) => one.name === column)
  if (!found) throw new TypeError(`${table.name} has no column ${column}`)
  return found.type.replace(/ (not null|generated).*$/, '')
}

/** Rows as one parameter, however many: Postgres reads each value from text as the column's type does. */
const asRecords = (table: Table, columns: readonly string[], rows: readonly object[]) => ({
  from: sql`json_to_recordset(${JSON.stringify(rows)}::json) as new (${sql.join(columns.map((column) => sql`${sql.id(column)} text`))})`,
  value: (column: string) => sql`new.${sql.id(column)}::${sql.raw(typeOf(table, column))}`,
})

/**
 * Inserts rows in one statement. `onConflict` names the key that may be there already, and the columns that then take
 * the new values: no key may come twice in one call. All rows have the columns of the first.
 */
export const insertRows = async (trx: Transaction<unknown>, schema: string, table: Table, rows: readonly object[], onConflict?: { key: readonly string[]; update: readonly string[] }): Promise<void> => {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first)
  const { from, value } = asRecords(table, columns, rows)
  const conflict = onConflict
    ? sql`on conflict (${sql.join(onConflict.key.map((column) => sql.id(column)))}) do update set ${sql.join(onConflict.update.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`))}`
    : sql``
  await sql`insert into ${sql.id(schema, table.name)} (${sql.join(columns.map((column) => sql.id(column)))}) select ${sql.join(columns.map(value))} from ${from} ${conflict}`.execute(trx)
}

/** Sets other columns of the rows that a key names, and that `where` holds for, in one statement. */
export const updateRows = async (trx: Transaction<unknown>, schema: string, table: Table, rows: readonly object[], { key, where }: { key: readonly string[]; where: string }): Promise<void> => {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first)
  const { from, value } = asRecords(table, columns, rows)
  await sql`
    update ${sql.id(schema, table.name)} as old
    set ${sql.join(columns.filter((column) => !key.includes(column)).map((column) => sql`${sql.id(column)} = ${value(column)}`))}
    from ${from} where ${sql.join(key.map((column) => sql`old.${sql.id(column)} = ${value(column)}`), sql` and `)} and ${sql.raw(where)}`.execute(trx)
}

/** Deletes the rows that have one of these values in a column. */
export const deleteRows = async (trx: Transaction<unknown>, schema: string, table: Table, column: string, values: readonly string[]): Promise<void> => {
  if (values.length > 0) await sql`delete from ${sql.id(schema, table.name)} where ${sql.id(column)} = any(${values})`.execute(trx)
}

/** The table of that name. */
export const tableNamed = (tables: readonly Table[], name: string): Table => {
  const found = tables.find((table) => table.name === name)
  if (!found) throw new TypeError(`there is no table ${name}`)
  return found
}
