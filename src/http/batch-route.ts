import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { runBatch, type BatchAnswer } from '../commands/batch.ts'
import { problem } from '../commands/problem.ts'
import { callerOf, claimsOf, requirePresent } from './authenticate.ts'
import { problemOfError, ProblemError } from './errors.ts'
import { problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const LONGEST_LINE = 1024 * 1024
const CONCURRENCY = 256

/** Lines of a UTF-8 stream, those that end in a chunk at a time; a line over the limit is undefined, and its rest is passed over. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncIterable<readonly (string | undefined)[]> {
  const decoder = new TextDecoder('utf-8')
  let pending: Buffer[] = []
  let length = 0
  let tooLong = false
  const add = (bytes: Buffer) => {
    length += bytes.length
    if (length > LONGEST_LINE) {
      tooLong = true
      pending = []
    } else if (!tooLong) pending.push(bytes)
  }
  const end = (): string | undefined => {
    const line = tooLong ? undefined : decoder.decode(Buffer.concat(pending)).replace(/\r$/, '')
    pending = []
    length = 0
    tooLong = false
    return line
  }
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk)
    const lines: (string | undefined)[] = []
    let from = 0
    for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, from)) {
      add(bytes.subarray(from, at))
      lines.push(end())
      from = at + 1
    }
    if (from < bytes.length) add(bytes.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (length > 0) yield [end()]
}

/** A line for each answer; those that are there together are sent together. */
async function* linesOfAnswers(answers: AsyncIterable<readonly BatchAnswer[]>): AsyncIterable<string> {
  for await (const several of answers) yield several.map((answer) => `${JSON.stringify(answer)}\n`).join('')
}

/** `POST /commands`: NDJSON of any length in, a line of answer for each line out, as they come. */
export const batchRoute = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-ndjson', (_request, payload, done) => done(null, payload))
  app.post('/commands', {
    schema: {
      tags: ['commands'],
      operationId: 'post-commands',
      summary: 'Many commands, a line each 批量命令',
      description: 'A line is { "command", "key", "onBehalfOf"?, "ifMatch"?, "body" }, 1 MiB at most. In order within a stream, concurrent across streams; a line of answer { "line", "key", "status", "answer" } for each, in the order of the lines. Sending the file again repeats the answers and does nothing twice.',
      consumes: ['application/x-ndjson'],
      response: { 200: { description: 'A line of answer for each line', content: { 'application/x-ndjson': { schema: z.string() } } }, ...problemResponses(401, 415, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    const body = request.body
    if (!(body instanceof Readable)) throw new ProblemError(problem('unsupported-media-type', 'A batch is application/x-ndjson.'))
    const answers = runBatch(linesOf(body), {
      runtime: services.runtime,
      concurrency: CONCURRENCY,
      callerFor: (onBehalfOf) => {
        try {
          requirePresent(claims, services.runtime.organisation.current())
          return callerOf(claims, onBehalfOf)
        } catch (error) {
          if (error instanceof ProblemError) return error.problem
          throw error
        }
      },
      onError: (error) => {
        services.writes.failed(error)
        return problemOfError(error, request)
      },
    })
    return reply.header('content-type', 'application/x-ndjson; charset=utf-8').send(Readable.from(linesOfAnswers(answers)))
  })
}
