import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import pg from 'pg'
import { z } from 'zod'

/**
 * What the routes of commands are measured beside: Fastify, the body checked by zod, one INSERT through a pool, and
 * a bulk route of multi-row INSERTs. A process of its own: node --import tsx bench/bare-route.ts <database url>
 */
const [, , database = ''] = process.argv
const pool = new pg.Pool({ connectionString: database, max: 20 })
await pool.query('create table if not exists public.bare (id uuid primary key, stream text not null, type text not null, data text not null, recorded_at timestamptz not null)')

const Body = z.strictObject({ customerId: z.string().min(1).max(64), reason: z.string().max(2000).optional(), tier: z.string().optional(), basis: z.string().optional(), evidence: z.unknown().optional() })
const Line = z.object({ command: z.string(), key: z.string(), body: z.looseObject({ customerId: z.string() }) })

const app = Fastify()
app.post('/bare', async (request, reply) => {
  const parsed = Body.safeParse(request.body)
  if (!parsed.success) return reply.status(422).send({ errors: parsed.error.issues })
  const id = randomUUID()
  await pool.query({ name: 'bare', text: 'insert into public.bare values ($1, $2, $3, $4, $5)', values: [id, `customer-${parsed.data.customerId}`, 'Noted', JSON.stringify(parsed.data), new Date().toISOString()] })
  return { id, revision: 1 }
})

app.addContentTypeParser('application/x-ndjson', { parseAs: 'string', bodyLimit: 64 * 1024 * 1024 }, (_request, body, done) => done(null, body))
const MULTI = 500
app.post('/bulk', async (request) => {
  const lines = String(request.body).split('\n').filter((line) => line !== '').map((line) => Line.parse(JSON.parse(line)))
  for (let from = 0; from < lines.length; from += MULTI) {
    const rows = lines.slice(from, from + MULTI).map((line) => [randomUUID(), `customer-${line.body.customerId}`, line.command, JSON.stringify(line.body), new Date().toISOString()])
    await pool.query(`insert into public.bare values ${rows.map((_, row) => `(${[1, 2, 3, 4, 5].map((column) => `$${row * 5 + column}`).join(', ')})`).join(', ')}`, rows.flat())
  }
  return { lines: lines.length }
})
process.stdout.write(`${await app.listen({ port: 0, host: '127.0.0.1' })}\n`)
