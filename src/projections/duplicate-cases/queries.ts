import { sql, type Kysely, type RawBuilder } from 'kysely'

export type FoundCase = {
  caseId: string; customerIds: [string, string]; status: 'open' | 'confirmed' | 'dismissed' | 'merged'; openedBy: 'detection' | 'person'; score: number | null
  reasons: { comparison: string; level: string; bits: number }[]; weightsVersion: number | null; openedAt: string; judgedAt: string | null; judgedBy: string | null; said: string | null; mergeId: string | null
  revision: number; ordinal: string
}
export type CaseFilters = { caseId?: string | undefined; status?: string | undefined; customerIds?: readonly string[] | undefined; minimumScore?: number | undefined }

type Row = {
  case_id: string; ordinal: string; one_id: string; other_id: string; status: FoundCase['status']; opened_by: FoundCase['openedBy']; score: number | null; reasons: FoundCase['reasons']; weights_version: number | null
  opened_at: Date; judged_at: Date | null; judged_by: string | null; said: string | null; merge_id: string | null; revision: number
}

/** Duplicate cases, the latest opened first, after `before` (the ordinal a page ended with). */
export const findCases = async (db: Kysely<unknown>, schema: string, filters: CaseFilters, page: { limit: number; before?: string | undefined }): Promise<FoundCase[]> => {
  const where: RawBuilder<unknown>[] = [sql`true`]
  if (filters.caseId !== undefined) where.push(sql`case_id = ${filters.caseId}`)
  if (filters.status !== undefined) where.push(sql`status = ${filters.status}`)
  if (filters.customerIds !== undefined) where.push(sql`(one_id = any(${[...filters.customerIds]}::text[]) or other_id = any(${[...filters.customerIds]}::text[]))`)
  if (filters.minimumScore !== undefined) where.push(sql`score >= ${filters.minimumScore}`)
  if (page.before !== undefined) where.push(sql`ordinal < ${page.before}`)
  const { rows } = await sql<Row>`
    select case_id, ordinal, one_id, other_id, status, opened_by, score, reasons, weights_version, opened_at, judged_at, judged_by, said, merge_id, revision
    from ${sql.table(`${schema}.duplicate_case`)} where ${sql.join(where, sql` and `)} order by ordinal desc limit ${page.limit}`.execute(db)
  return rows.map((row) => ({
    caseId: row.case_id, customerIds: [row.one_id, row.other_id], status: row.status, openedBy: row.opened_by, score: row.score, reasons: row.reasons, weightsVersion: row.weights_version,
    openedAt: row.opened_at.toISOString(), judgedAt: row.judged_at?.toISOString() ?? null, judgedBy: row.judged_by, said: row.said, mergeId: row.merge_id, revision: row.revision, ordinal: row.ordinal,
  }))
}
