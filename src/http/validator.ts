import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { checkText } from '../commands/text.ts'
import { ProblemError } from './errors.ts'

/** Checks headers, parameters and query strings by their zod schema; the error names every bad one. */
export const compileValidator: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) => {
  if (!(schema instanceof z.ZodType)) return (data: unknown) => ({ value: data })
  // Of the headers, many and none of Kehu's, only those the schema names are looked at.
  const named = httpPart === 'headers' && schema instanceof z.ZodObject ? Object.keys(schema.shape) : undefined
  return (data: unknown) => validate(schema, named && typeof data === 'object' && data !== null ? Object.fromEntries(named.map((name) => [name, Reflect.get(data, name)])) : data)
}

const validate = (schema: z.ZodType, data: unknown) => {
  const text = checkText(data)
  if (!text.ok) return { error: new ProblemError(problem('invalid-parameters', 'A parameter holds text that is not accepted.', { errors: text.problems })) }
  const parsed = schema.safeParse(text.value)
  return parsed.success ? { value: parsed.data } : { error: parsed.error }
}
