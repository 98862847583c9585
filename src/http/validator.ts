import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { checkText } from '../commands/text.ts'
import { ProblemError } from './errors.ts'

/** Checks headers, parameters and query strings by their zod schema; the error names every bad one. */
export const compileValidator: FastifySchemaCompiler<unknown> = ({ schema }) => (data: unknown) => {
  if (!(schema instanceof z.ZodType)) return { value: data }
  const text = checkText(data)
  if (!text.ok) return { error: new ProblemError(problem('invalid-parameters', 'A parameter holds text that is not accepted.', { errors: text.problems })) }
  const parsed = schema.safeParse(text.value)
  return parsed.success ? { value: parsed.data } : { error: parsed.error }
}
