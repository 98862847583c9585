import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { DateTime } from 'luxon'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import type { Runtime } from '../commands/runtime.ts'
import { categoryChain, departmentsBelow } from '../domain/organisation/organisation.ts'
import type { FieldProblem } from '../domain/rejection.ts'
import { Id } from '../domain/values.ts'
import type { Period, Population } from '../projections/lifecycle/queries.ts'
import { ProblemError } from './errors.ts'
import { sendExport, type ExportFormat } from './export.ts'
import { After, instantOf, PointInTime } from './parameters.ts'

export const PeriodParameters = {
  from: PointInTime.optional().describe('From this instant on, or from the beginning of this day (2026-03-01) in the organisation’s time zone; absent: from the beginning'),
  to: PointInTime.optional().describe('Before this instant, or up to the end of this day (2026-03-31), the day included; absent: up to now'),
}
export const PopulationParameters = {
  category: Id.optional().describe('Only customers who were of this category, or one below it, when they entered the stage or tier'),
  departmentId: Id.optional().describe('Only customers for whom an employee of this department, or one below it, is responsible now'),
}
export const AsOfParameter = { asOf: PointInTime.optional().describe('This instant, or the end of this day (2026-03-31) in the organisation’s time zone; absent: now') }

export const AnalysisQuery = z.strictObject({ ...PeriodParameters, ...PopulationParameters, ...After })
export const PeriodAnswer = z.object({ from: z.string().nullable().describe('null: from the beginning'), to: z.string().nullable().describe('Excluded; null: up to all that is known') })

/** Reads each parameter, and names every bad one at once. */
const reading = () => {
  const errors: FieldProblem[] = []
  return {
    bad: (path: string, message: string) => void errors.push({ path, message }),
    instant: (runtime: Runtime, text: string | undefined, name: string): string | null => {
      if (text === undefined) return null
      try {
        return instantOf(runtime, text, name)
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error
        errors.push({ path: name, message: 'must be an instant such as 2026-03-03T09:30:00+08:00, or a day such as 2026-03-03' })
        return null
      }
    },
    done: () => {
      if (errors.length > 0) throw new ProblemError(problem('invalid-parameters', 'Parameters are not valid.', { errors }))
    },
  }
}

const isDay = (text: string | undefined): text is string => text !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(text)
const plusMs = (instant: string): string => new Date(Date.parse(instant) + 1).toISOString()
const startOfDay = (runtime: Runtime, day: string): string | null => DateTime.fromISO(day, { zone: runtime.organisation.current().log?.timeZone ?? 'UTC' }).startOf('day').toUTC().toISO()

type Asked = { from?: string | undefined; to?: string | undefined; asOf?: string | undefined; category?: string | undefined; departmentId?: string | undefined; after?: string | undefined }

/**
 * What an analysis is asked for: a period that holds its beginning and not its end, so that periods can be laid end
 * to end, and whose customers count. `asOf` is an end that belongs to it. A day is what it is in the organisation's zone.
 */
export const analysisOf = async (runtime: Runtime, asked: Asked): Promise<{ period: Period; population: Population }> => {
  const parameters = reading()
  const fromInstant = parameters.instant(runtime, asked.from, 'from')
  const from = fromInstant !== null && isDay(asked.from) ? startOfDay(runtime, asked.from) : fromInstant
  const last = parameters.instant(runtime, asked.asOf, 'asOf')
  const toInstant = parameters.instant(runtime, asked.to, 'to')
  const to = last !== null ? plusMs(last) : toInstant !== null && isDay(asked.to) ? plusMs(toInstant) : toInstant
  if (from !== null && to !== null && from >= to) parameters.bad('from', asked.asOf === undefined ? 'must be before to' : 'must not be after asOf')

  const { category, departmentId } = asked
  const known = () => {
    const { categories, departments } = runtime.organisation.current()
    return { category: category === undefined || categories.has(category), departmentId: departmentId === undefined || departments.has(departmentId) }
  }
  // The organisation is followed a moment late: it shall be as late as was asked for, and what is not known yet may be there by now.
  if (asked.after !== undefined || !known().category || !known().departmentId) await runtime.organisation.refresh()
  if (!known().category) parameters.bad('category', 'no category has this id')
  if (!known().departmentId) parameters.bad('departmentId', 'no department has this id')
  parameters.done()

  const organisation = runtime.organisation.current()
  const departments = departmentId === undefined ? undefined : departmentsBelow(organisation, departmentId)
  return {
    period: { from, to },
    population: {
      categories: category === undefined ? undefined : [...organisation.categories.keys()].filter((id) => categoryChain(organisation, id)?.some((one) => one.categoryId === category)),
      employees: departments && [...organisation.employees.values()].flatMap((employee) => (departments.includes(employee.departmentId) ? [employee.employeeId] : [])),
    },
  }
}

/** Figures as an answer: JSON, or on demand rows of their own, a line each. */
export const figures = <Body extends z.ZodType>(body: Body) => ({
  description: 'The figures; or, as text/csv or application/x-ndjson, a line for each',
  content: { 'application/json': { schema: body }, 'text/csv': { schema: z.string() }, 'application/x-ndjson': { schema: z.string() } },
})

/** Rows as CSV with these columns, or as NDJSON as they are. */
export const sendRows = (reply: FastifyReply, format: ExportFormat, rows: readonly Record<string, unknown>[], columns: readonly string[]): FastifyReply =>
  sendExport(reply, format, Readable.from(rows), columns)

/** Rows in the order the policy has, with an empty one for each name that has none; names the policy has no more come last. */
export const inOrderOf = <Row>(names: readonly string[], rows: readonly Row[], nameOf: (row: Row) => string, empty: (name: string) => Row): Row[] => {
  const found = new Map(rows.map((row) => [nameOf(row), row]))
  return [...names.map((name) => found.get(name) ?? empty(name)), ...rows.filter((row) => !names.includes(nameOf(row)))]
}
