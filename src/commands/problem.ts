import { rejections, type Extension, type FieldProblem, type Rejection } from '../domain/rejection.ts'

/**
 * Problem details (RFC 9457). The last part of `type` is a promise to callers; GET on it explains the problem.
 * docs/problems.md lists them all; a test compares.
 */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  errors?: FieldProblem[]
  [extension: string]: Extension | FieldProblem[] | undefined
}

/** `final`: the answer to its idempotency key from then on. */
type Entry = { status: number; title: string; retryable: boolean; final?: boolean; advice: string }

/** Refusals of the command path itself, beside those of the domain. */
const ofCommands = {
  'invalid-body': { status: 422, title: 'The body does not fit the command', retryable: false, advice: 'Each bad field is listed under errors; /openapi.json and /docs show the schema.' },
  'idempotency-key-reused': { status: 422, title: 'This idempotency key was used for another command', retryable: false, advice: 'Use a new key for a new command; repeat a command with the body it had.' },
  'precondition-failed': { status: 412, title: 'The record has changed since it was read', retryable: false, advice: 'Read it again, decide again, and send its new ETag as If-Match.' },
  contention: { status: 409, title: 'Too many changes to the same thing at once', retryable: true, advice: 'Nothing happened. Send it again after a moment, with the same key.' },
  'merge-abandoned': { status: 409, title: 'Another merge came first', retryable: false, advice: 'One of the two was being merged as well at the same moment, with another customer or the other way round. Look at both: if they are two still, merge them anew, under another key.' },
  'role-not-permitted': { status: 403, title: 'This role may not send this command', retryable: false, advice: 'docs/commands.md lists who may send what; use a token of another role.' },
  'command-too-large': { status: 422, title: 'The events of this command are too large', retryable: false, advice: 'Split it: one command may make 512 KiB of events.' },
  'log-unavailable': { status: 503, title: 'The log is out of reach', retryable: true, advice: 'It is not known whether the command was taken. Send it again with the same key: it happens once.' },
  'older-than-log': { status: 503, title: 'This process is older than the log it reads', retryable: true, advice: 'Another process already writes newer events: update this one.' },
} as const satisfies Record<string, Entry>

/** Refusals at the door. */
const ofHttp = {
  'malformed-json': { status: 400, title: 'The body is not JSON', retryable: false, advice: 'Send one JSON object, in UTF-8, with Content-Type: application/json.' },
  'body-too-large': { status: 413, title: 'The body is too large', retryable: false, advice: 'A command may have 1 MiB. Many commands go to POST /commands as NDJSON, a line each.' },
  'unsupported-media-type': { status: 415, title: 'This content type is not understood', retryable: false, advice: 'Commands are application/json; batches application/x-ndjson.' },
  'invalid-parameters': { status: 400, title: 'A parameter or header is not valid', retryable: false, advice: 'Each one is listed under errors.' },
  'invalid-position': { status: 400, title: 'That position is not of this log', retryable: false, advice: 'Send a position as a command answered it, unchanged.' },
  unauthenticated: { status: 401, title: 'A valid token is needed', retryable: false, advice: 'Send Authorization: Bearer <token>. `npm run --silent kehu -- token --role <role>` makes one.' },
  'read-not-permitted': { status: 403, title: 'This role may not read this', retryable: false, advice: 'docs/commands.md lists who sees what; use a token of another role.' },
  'not-found': { status: 404, title: 'There is nothing at this address', retryable: false, advice: '/docs lists every route.' },
  'method-not-allowed': { status: 405, title: 'This address does not take this method', retryable: false, advice: '/docs lists every route.' },
  'command-not-found': { status: 404, title: 'No such command is on record', retryable: false, advice: 'Receipts are kept for commands that were accepted, did nothing, or were refused by the state of things.' },
  'rate-limited': { status: 429, title: 'Too many look-ups by identifier', retryable: true, advice: 'Wait as long as Retry-After says; the visibility policy sets the rate.' },
  'model-building': { status: 503, title: 'This read model is being built', retryable: true, advice: 'Commands are accepted meanwhile. Ask again after Retry-After.' },
  'not-caught-up': { status: 503, title: 'The read model has not reached that position in time', retryable: true, advice: 'Ask again after Retry-After; GET /projections tells whether it is behind or has stopped.' },
  overloaded: { status: 503, title: 'The service is overloaded', retryable: true, advice: 'Send it again after Retry-After, with the same key.' },
  'shutting-down': { status: 503, title: 'The service is shutting down', retryable: true, advice: 'Send it again in a moment, with the same key.' },
  'internal-error': { status: 500, title: 'Something broke here', retryable: true, advice: 'It is logged. Send a command again with the same key: it happens once.' },
} as const satisfies Record<string, Entry>

const ofDomain: Record<string, Entry> = Object.fromEntries(Object.entries(rejections).map(([name, { status, title, advice, receipt }]) => [name, { status, title, advice, retryable: false, final: receipt }]))

export type ProblemName = keyof typeof ofCommands | keyof typeof ofHttp
export const problems: ReadonlyMap<string, Entry> = new Map(Object.entries({ ...ofDomain, ...ofCommands, ...ofHttp }))

const typeOf = (name: string): string => `/docs/problems/${name}`

export const problem = (name: ProblemName, detail: string, more: { errors?: FieldProblem[]; extensions?: Record<string, Extension> } = {}): Problem => {
  const { status, title } = { ...ofCommands, ...ofHttp }[name]
  return { type: typeOf(name), title, status, detail, ...(more.errors ? { errors: more.errors } : {}), ...more.extensions }
}

export const problemOfRejection = ({ rejected, detail, errors, extensions }: Rejection): Problem => {
  const { status, title } = rejections[rejected]
  return { type: typeOf(rejected), title, status, detail, ...(errors ? { errors } : {}), ...extensions }
}

export const problemName = (given: { type: string }): string => given.type.slice(typeOf('').length)
