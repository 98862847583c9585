import { isTimeout } from '../event-store/waiting.ts'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ZodError } from 'zod'
import { OlderThanLog } from '../commands/load.ts'
import { problem, type Problem } from '../commands/problem.ts'
import { toFieldProblems } from '../commands/register.ts'
import { EventStoreUnavailable } from '../event-store/port.ts'
import { whyNoWrites } from '../event-store/writes.ts'
import { ModelBuilding, NotCaughtUp } from '../projections/read-models.ts'
import { ProblemError } from './problem-error.ts'

export { ProblemError }

export const RETRY_AFTER = { 'retry-after': '1' }

export const sendProblem = (reply: FastifyReply, given: { status: number }, headers: Record<string, string> = {}): FastifyReply => {
  const retry: Record<string, string> = given.status === 503 ? RETRY_AFTER : {}
  return reply.status(given.status).headers({ ...retry, ...headers, 'content-type': 'application/problem+json; charset=utf-8' }).send(given)
}

/** Every error becomes problem details; only what nobody foresaw is a 500, and is logged. */
export const handleError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const { given, headers } = explain(error, request)
  return sendProblem(reply, given, headers)
}

/** The problem an error is, for a line of a batch. */
export const problemOfError = (error: unknown, request: FastifyRequest): Problem => explain(error instanceof Error ? error : new Error('not an error'), request).given

const explain = (error: Error, request: FastifyRequest) => {
  const explained = toProblem(error, request)
  if (explained.given.status === 500) request.log.error({ err: error, route: request.routeOptions.url }, 'request failed')
  return explained
}

/** An error without what it may quote: messages of Postgres and of parsers hold values. */
export const safe = (error: Error) => ({ name: error.name, code: 'code' in error ? error.code : undefined, stack: error.stack?.split('\n').filter((line) => /^ +at /.test(line)).slice(0, 7).join('\n') })

const toProblem = (error: FastifyError | Error, request: FastifyRequest): { given: Problem; headers: Record<string, string> } => {
  const plain = (given: Problem) => ({ given, headers: {} })
  if (error instanceof ProblemError) return { given: error.problem, headers: error.headers }
  const noWrites = whyNoWrites(error)
  if (noWrites !== undefined) return plain(problem('log-unavailable', `Nothing can be written: ${noWrites}.`))
  if (error instanceof EventStoreUnavailable) return plain(problem('log-unavailable', 'The log did not answer in time.'))
  if (error instanceof OlderThanLog) return plain(problem('older-than-log', 'The stream holds events of a newer version.'))
  if (error instanceof ModelBuilding) return { given: problem('model-building', `${error.model} has read up to position ${error.position} of ${error.end}.`, { extensions: { model: error.model, position: String(error.position), end: String(error.end) } }), headers: { 'retry-after': '2' } }
  if (error instanceof NotCaughtUp) return plain(problem('not-caught-up', `${error.message}.`))
  if (isTimeout(error)) return plain(problem('log-unavailable', 'The database did not answer in time.'))
  if (isUnreachable(error)) return plain(problem('log-unavailable', 'The database is out of reach.'))
  if (error instanceof ZodError) return plain(problem('invalid-parameters', 'Parameters are not valid.', { errors: error.issues.flatMap(toFieldProblems) }))
  switch ('code' in error ? error.code : '') {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return plain(problem('body-too-large', 'The body has more than 1 MiB.'))
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return plain(problem('unsupported-media-type', `The content type of ${request.method} ${request.routeOptions.url ?? 'this address'} is ${request.routeOptions.url === '/commands' ? 'application/x-ndjson' : 'application/json'}.`))
    case 'FST_ERR_BAD_URL':
      return plain(problem('invalid-parameters', 'The address holds a % that does not stand for a character in UTF-8.'))
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return plain(problem('invalid-parameters', 'A part of the address is too long to be an id.'))
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return plain(problem('malformed-json', 'The body does not have the length it announced, or is empty.'))
    default: {
      const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
      return plain(status >= 400 && status < 500 ? { ...problem('invalid-parameters', 'The request cannot be read.'), status } : problem('internal-error', 'The request could not be served.'))
    }
  }
}

const isUnreachable = (error: Error): boolean => {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return /^(08|57P|53|25P03)/.test(code) || /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/.test(code) || /Connection terminated|timeout exceeded when trying to connect|timeout expired|Client was closed|not queryable|connection has been discarded/i.test(error.message)
}
