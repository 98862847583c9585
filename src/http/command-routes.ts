import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { answerOf, type Answer, type Envelope } from '../commands/handle.ts'
import { problem } from '../commands/problem.ts'
import { registry } from '../commands/registry.ts'
import { rolesWith } from '../commands/rights.ts'
import { callerOf, claimsOf, requireRole } from './authenticate.ts'
import { ProblemError, sendProblem } from './errors.ts'
import type { LookupLimit } from './lookup-limit.ts'
import { AcceptedBody, problemResponses, ReceiptBody } from './schemas.ts'
import type { Services } from './services.ts'
import { compileValidator } from './validator.ts'

export const Key = z.string().min(1).max(200).regex(/^[\x20-\x7e]+$/, 'printable ASCII')
const Headers = z.object({
  'idempotency-key': Key.optional().describe('The same key from the same caller has one effect and one answer'),
  'on-behalf-of': z.string().max(64).optional().describe('The employee a system acts for'),
  'if-match': z.string().max(40).optional().describe('The ETag read: the command is refused with 412 if it has changed'),
  traceparent: z.string().max(200).optional(),
})

/** `"7"`, `W/"7"` or `7`: the revision a caller read. */
export const revisionOf = (ifMatch: string | undefined): number | undefined => {
  if (ifMatch === undefined) return undefined
  const [, digits] = /^(?:W\/)?"?(\d{1,9})"?$/.exec(ifMatch) ?? []
  if (digits === undefined) throw new ProblemError(problem('invalid-parameters', 'A header is not valid.', { errors: [{ path: 'If-Match', message: 'must be an ETag as it was read, e.g. "7"' }] }))
  return Number(digits)
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** One route for each command of the registry. The body is checked on the command path, the same for a line of a batch. */
export const commandRoutes = (services: Services, lookupLimit: LookupLimit) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  for (const command of registry) {
    typed.post(`/commands/${command.name}`, {
      schema: {
        tags: ['commands'],
        operationId: command.name,
        summary: `${command.summary.en} ${command.summary.zh}`,
        description: `Roles: ${rolesWith[command.right].join(', ')}.`,
        headers: Headers,
        querystring: z.strictObject({ dryRun: z.enum(['true', 'false']).optional().describe('true: decide, and append nothing') }),
        body: command.schema,
        response: { 200: AcceptedBody, 201: AcceptedBody, ...problemResponses(400, 401, 403, 404, 409, 412, 413, 415, 422, 503), ...(command.looksUp ? problemResponses(429) : {}) },
      },
      // The body is checked once, on the command path; here only headers and query.
      validatorCompiler: (part) => (part.httpPart === 'body' ? (data: unknown) => ({ value: data }) : compileValidator(part)),
    }, async (request, reply) => {
      const headers = request.headers
      const claims = claimsOf(request)
      const dryRun = request.query.dryRun === 'true'
      // An entry that is tried leaves nothing behind, and tells who is like it: that is a look-up.
      if (dryRun && command.looksUp) await lookupLimit.take(claims, services.runtime.organisation.current(), 1)
      const envelope: Envelope = {
        caller: callerOf(claims, headers['on-behalf-of']),
        key: headers['idempotency-key'],
        ifMatch: revisionOf(headers['if-match']),
        traceparent: headers.traceparent !== undefined && TRACEPARENT.test(headers.traceparent) ? headers.traceparent : undefined,
        dryRun,
      }
      return sendAnswer(reply, await command.run(services.runtime, request.body, envelope))
    })
  }

  typed.get('/commands/:commandId', {
    schema: {
      tags: ['commands'],
      operationId: 'get-command',
      summary: 'What became of a command 命令结果',
      params: z.object({ commandId: z.uuid() }),
      response: { 200: ReceiptBody, ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['clerk', 'manager', 'system', 'admin', 'auditor'])
    const receipt = await services.runtime.store.receipts.find(request.params.commandId)
    if (!receipt) return sendProblem(reply, problem('command-not-found', 'There is no receipt for this command.'))
    return reply.send({ commandId: receipt.commandId, command: receipt.command, status: receipt.status, recordedAt: receipt.recordedAt, streams: receipt.streams.filter((stream) => !stream.startsWith('identity-')), answer: answerOf(services.runtime, receipt) })
  })
}

const sendAnswer = (reply: FastifyReply, answer: Answer) =>
  answer.status >= 400 ? sendProblem(reply, { ...answer.body, status: answer.status }) : reply.status(answer.status).send(answer.body)
