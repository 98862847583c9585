import { sql, type Kysely, type Transaction } from 'kysely'

/** A table of a read model, described once: DDL, comments, analysts' view and data dictionary follow from it. */
export type Table = {
  name: string
  comment: string
  columns: readonly Column[]
  /** Keys and constraints, as SQL. All but the primary key are made, like the indexes, when a build has caught up. */
  constraints: readonly string[]
  /** What stands behind `create index on <table>`, as SQL: what queries look up by. A build is quicker without. */
  indexes?: readonly string[]
  /** The same, for what the projection itself looks up by: there from the start. */
  ownIndexes?: readonly string[]
  /**
   * Rows are written again and again. A page keeps room for what becomes of its rows: as long as no indexed column changes
   * Postgres then leaves the indexes alone (HOT). How a table is filled is nothing a version need be raised for.
   */
  rewritten?: true
  /** The name of the analysts' view: every column but the personal ones. Absent: analysts don't see this table. */
  view?: string
}
/** `personal` columns are never in an analysts' view. */
export type Column = { name: string; type: string; comment: string; personal?: true }

/** Per cent of a page: a third of it holds two or three of its twelve or so rows once more. */
const FILLED = 70

const isPrimaryKey = (constraint: string): boolean => constraint.startsWith('primary key')

/** The tables with what their projection needs of keys and indexes; the rest is for `completeTables`. */
export const createTables = async (db: Kysely<unknown>, schema: string, tables: readonly Table[]): Promise<void> => {
  for (const table of tables) {
    const name = sql.id(schema, table.name)
    const parts = [...table.columns.map((column) => sql`${sql.id(column.name)} ${sql.raw(column.type)}`), ...table.constraints.filter(isPrimaryKey).map((constraint) => sql.raw(constraint))]
    await sql`create table ${name} (${sql.join(parts)}) ${sql.raw(table.rewritten ? `with (fillfactor = ${FILLED})` : '')}`.execute(db)
    await sql`comment on table ${name} is ${sql.lit(table.comment)}`.execute(db)
    for (const column of table.columns) await sql`comment on column ${sql.id(schema, table.name, column.name)} is ${sql.lit(column.comment)}`.execute(db)
    for (const index of table.ownIndexes ?? []) await sql`create index on ${name} ${sql.raw(index)}`.execute(db)
  }
}

/** What queries need besides, over rows that are there: several times as quick as keeping it up row by row. */
export const completeTables = async (db: Kysely<unknown>, schema: string, tables: readonly Table[]): Promise<void> => {
  for (const table of tables) {
    const name = sql.id(schema, table.name)
    for (const constraint of table.constraints) if (!isPrimaryKey(constraint)) await sql`alter table ${name} add ${sql.raw(constraint)}`.execute(db)
    for (const index of table.indexes ?? []) await sql`create index on ${name} ${sql.raw(index)}`.execute(db)
  }
}

/**
 * Locks the tables of a model, always in the same order. A query's own statements would lock them one by one, and
 * could meet those of a swap half-way; and a snapshot taken before a swap sees the new tables half filled.
 */
export const lockTables = async (trx: Transaction<unknown>, schema: string, tables: readonly Table[], mode: 'access share' | 'access exclusive'): Promise<void> => {
  await sql.raw(lockStatement(schema, tables, mode)).execute(trx)
}

/** Names of schemas and tables are Kehu's own. */
export const lockStatement = (schema: string, tables: readonly Table[], mode: 'access share' | 'access exclusive'): string =>
  `lock table ${tables.map((table) => `"${schema}"."${table.name}"`).join(', ')} in ${mode} mode`

/** The analysts' views: the columns of each table that has one, less the personal ones, with their comments. */
export const viewsOf = (schema: string, tables: readonly Table[]) =>
  tables.flatMap((table) => {
    const columns = table.columns.filter((column) => !column.personal)
    return table.view === undefined ? [] : [{
      name: table.view,
      comment: table.comment,
      columns: columns.map(({ name, comment }) => ({ name, comment })),
      select: `select ${columns.map((column) => `"${column.name}"`).join(', ')} from "${schema}"."${table.name}"`,
    }]
  })
