import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'

/** Checks headers, parameters and query strings by their zod schema; the error names every bad one. */
export const compileValidator: FastifySchemaCompiler<unknown> = ({ schema }) => (data: unknown) => {
  if (!(schema instanceof z.ZodType)) return { value: data }
  const parsed = schema.safeParse(data)
  return parsed.success ? { value: parsed.data } : { error: parsed.error }
}
