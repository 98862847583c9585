import { join } from 'node:path'
import { z } from 'zod'
import { faultOf } from './event-store/eventstoredb/connection-string.ts'

/** A key of 32 bytes, as base64. */
const Key = z.string().transform((text, context) => {
  const bytes = Buffer.from(text.trim(), 'base64')
  if (bytes.length !== 32) context.addIssue({ code: 'custom', message: 'must be 32 bytes in base64 (openssl rand -base64 32)' })
  return bytes
})
const blankIsUnset = (value: unknown) => (typeof value === 'string' && value.trim() === '' ? undefined : value)
const optional = <Schema extends z.ZodType>(schema: Schema) => z.preprocess(blankIsUnset, schema.optional())
const withDefault = <Schema extends z.ZodType>(schema: Schema, value: z.input<Schema>) => z.preprocess((given) => blankIsUnset(given) ?? value, schema)

/** Such as "10 minutes, 10000 events", either or both; "off". */
const RootsEvery = z.string().trim().transform((text, context) => {
  const every: { events: number | null; ms: number | null } = { events: null, ms: null }
  if (text === 'off') return every
  for (const part of text.split(',')) {
    const [, count = '', unit] = /^([1-9]\d{0,8}) (second|minute|event)s?$/.exec(part.trim()) ?? []
    if (unit === 'event') every.events = Number(count)
    else if (unit !== undefined) every.ms = Number(count) * (unit === 'minute' ? 60_000 : 1000)
    else context.addIssue({ code: 'custom', message: 'must be such as "10 minutes, 10000 events", or one of the two, or off' })
  }
  return every
})

const timeZones = new Set([...Intl.supportedValuesOf('timeZone'), 'UTC'])
const url = (protocols: RegExp, message: string) => z.string().refine((text) => URL.canParse(text) && protocols.test(new URL(text).protocol), message)

const Environment = z.object({
  PORT: withDefault(z.coerce.number('must be a port').int('must be a whole number').min(0, 'must be a port, 0 to 65535').max(65_535, 'must be a port, 0 to 65535'), 8080),
  HOST: withDefault(z.string(), '127.0.0.1'),
  KEHU_DATA_DIR: withDefault(z.string(), '.kehu'),
  DATABASE_URL: optional(url(/^postgres(ql)?:$/, 'must be postgres://user:password@host:port/database')),
  EVENTSTORE_URL: optional(z.string().superRefine((text, context) => {
    const message = faultOf(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })),
  EVENTSTORE_PREFIX: optional(z.string().regex(/^[a-z0-9]{1,32}$/, 'must be up to 32 letters a to z and digits')),
  LOG_LEVEL: withDefault(z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'must be fatal, error, warn, info, debug, trace or silent'), 'info'),
  KEHU_MASTER_KEY: optional(Key),
  KEHU_OLD_MASTER_KEYS: withDefault(z.string().transform((text) => text.split(',').filter((part) => part.trim() !== '')).pipe(z.array(Key)), ''),
  KEHU_IDENTITY_KEY: optional(Key),
  KEHU_SIGNING_KEY: optional(z.string().includes('PRIVATE KEY', { message: 'must be an Ed25519 private key in PEM (PKCS #8)' })),
  KEHU_PUBLIC_KEY: optional(z.string().includes('PUBLIC KEY', { message: 'must be an Ed25519 public key in PEM (SPKI)' })),
  KEHU_JWKS_URL: optional(url(/^https?:$/, 'must be an http(s) address of a JWK set')),
  KEHU_TOKEN_ISSUER: withDefault(z.string(), 'kehu'),
  KEHU_ROOT_KEY: optional(z.string().includes('PRIVATE KEY', { message: 'must be an Ed25519 private key in PEM (PKCS #8)' })),
  KEHU_OLD_ROOT_KEY: optional(z.string().includes('PRIVATE KEY', { message: 'must be an Ed25519 private key in PEM (PKCS #8)' })),
  KEHU_ROOT_EVERY: withDefault(RootsEvery, '10 minutes, 10000 events'),
  KEHU_ROOTS_FILE: optional(z.string()),
  KEHU_TIME_ZONE: withDefault(z.string().refine((zone) => timeZones.has(zone), 'must be an IANA time zone such as Asia/Shanghai'), 'Asia/Shanghai'),
  KEHU_ANALYST_ROLE: withDefault(z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be the name of a Postgres role'), 'kehu_analyst'),
  KEHU_RESERVATION_WAIT_MS: withDefault(z.coerce.number('must be milliseconds').int().min(10, 'must be at least 10 ms').max(60_000, 'must be at most 60000 ms'), 2000),
  KEHU_START_WAIT_MS: withDefault(z.coerce.number('must be milliseconds').int().min(0).max(600_000, 'must be at most 600000 ms'), 30_000),
  KEHU_DATABASE_WAIT_MS: withDefault(z.coerce.number('must be milliseconds').int().min(500, 'must be at least 500 ms').max(60_000, 'must be at most 60000 ms'), 10_000),
  KEHU_READ_WAIT_MS: withDefault(z.coerce.number('must be milliseconds').int().min(0).max(60_000, 'must be at most 60000 ms'), 5000),
})

export type Config = ReturnType<typeof readConfig>

/** The environment does not hold together. Its message names every wrong variable, and never a value. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** @throws ConfigError */
export const readConfig = (environment: Record<string, string | undefined>) => {
  const parsed = Environment.safeParse(environment)
  const faults = parsed.error?.issues.map((issue) => `${issue.path[0]?.toString() ?? ''} ${issue.message}`) ?? []
  if (environment['KEHU_PUBLIC_KEY'] && environment['KEHU_JWKS_URL']) faults.push('KEHU_PUBLIC_KEY and KEHU_JWKS_URL cannot both say whose tokens count; set one')
  if (environment['EVENTSTORE_PREFIX']?.trim() && !environment['EVENTSTORE_URL']?.trim()) faults.push('EVENTSTORE_PREFIX names a log in EventStoreDB: EVENTSTORE_URL must say where that is')
  if (!parsed.success || faults.length > 0) throw new ConfigError(`The environment is not valid: ${faults.join('; ')}`)
  const { data } = parsed
  return {
    port: data.PORT,
    host: data.HOST,
    dataDir: data.KEHU_DATA_DIR,
    databaseUrl: data.DATABASE_URL,
    eventStoreUrl: data.EVENTSTORE_URL,
    eventStorePrefix: data.EVENTSTORE_PREFIX,
    logLevel: data.LOG_LEVEL,
    masterKey: data.KEHU_MASTER_KEY,
    oldMasterKeys: data.KEHU_OLD_MASTER_KEYS,
    identityKey: data.KEHU_IDENTITY_KEY,
    signingKey: data.KEHU_SIGNING_KEY,
    publicKey: data.KEHU_PUBLIC_KEY,
    jwksUrl: data.KEHU_JWKS_URL,
    tokenIssuer: data.KEHU_TOKEN_ISSUER,
    rootKey: data.KEHU_ROOT_KEY,
    oldRootKey: data.KEHU_OLD_ROOT_KEY,
    rootEvery: data.KEHU_ROOT_EVERY,
    rootsFile: data.KEHU_ROOTS_FILE ?? join(data.KEHU_DATA_DIR, 'roots.ndjson'),
    timeZone: data.KEHU_TIME_ZONE,
    analystRole: data.KEHU_ANALYST_ROLE,
    reservationWaitMs: data.KEHU_RESERVATION_WAIT_MS,
    startWaitMs: data.KEHU_START_WAIT_MS,
    databaseWaitMs: data.KEHU_DATABASE_WAIT_MS,
    readWaitMs: data.KEHU_READ_WAIT_MS,
  }
}
