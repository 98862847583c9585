import '@fastify/accepts'
import { pipeline, Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import type { FastifyReply, FastifyRequest } from 'fastify'

export type ExportFormat = 'text/csv' | 'application/x-ndjson'

/** The format an Accept header asks a list in; undefined: JSON, a page at a time. */
export const exportFormat = (request: FastifyRequest): ExportFormat | undefined => {
  const type = request.accepts().type(['application/json', 'application/x-ndjson', 'text/csv'])
  return type === 'text/csv' || type === 'application/x-ndjson' ? type : undefined
}

/** Streams rows as CSV (formulas escaped, so that a spreadsheet runs none) or NDJSON. */
export const sendExport = (reply: FastifyReply, format: ExportFormat, rows: AsyncIterable<Record<string, unknown>>, columns: readonly string[]): FastifyReply => {
  const stream = format === 'text/csv'
    // An error among the rows ends the answer; what it was, the stream that is sent tells.
    ? pipeline(Readable.from(rows), stringify({ header: true, columns: [...columns], escape_formulas: true, cast: { boolean: String } }), () => undefined)
    : Readable.from(asLines(rows))
  return reply.header('content-type', `${format}; charset=utf-8`).send(stream)
}

/** A line of JSON for each item. */
export async function* asLines(items: AsyncIterable<unknown>): AsyncIterable<string> {
  for await (const item of items) yield `${JSON.stringify(item)}\n`
}
