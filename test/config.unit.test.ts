import { afterAll, describe, expect, it, test, vi } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

const key = Buffer.alloc(32, 7).toString('base64')
const privateKey = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----'
const publicKey = '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----'

const refusal = (environment: Record<string, string>): string => {
  try {
    readConfig(environment)
  } catch (error) {
    return error instanceof ConfigError ? error.message : expect.fail('not a ConfigError')
  }
  return 'accepted'
}

// One wrong value for each variable that can be wrong, none of which may be seen again.
const wrong: Record<string, string[]> = {
  PORT: ['eighty-eighty', '65536', '-1', '80.5'],
  DATABASE_URL: ['mysql://secret-user:secret-word@db/x', 'secret-word', 'postgres//secret-word'],
  EVENTSTORE_URL: ['https://secret-word', 'secret-word', 'esdb://secret-user:secret-word@db:x', 'esdb://secret-user:secret-word@db?secret=1', 'esdb://secret-user:secret-word@db?tlsVerifyCert=false', 'esdb://secret-user:secret@word@db?tls=false'],
  EVENTSTORE_PREFIX: ['Secret', 'secret.word', 'x'.repeat(33)],
  LOG_LEVEL: ['loudest'],
  KEHU_MASTER_KEY: ['c2VjcmV0LXdvcmQ=', Buffer.alloc(31, 9).toString('base64'), 'not base64 at all!'],
  KEHU_OLD_MASTER_KEYS: [`${key},c2VjcmV0LXdvcmQ=`],
  KEHU_IDENTITY_KEY: [Buffer.alloc(33, 9).toString('base64')],
  KEHU_SIGNING_KEY: ['secret-word', publicKey],
  KEHU_PUBLIC_KEY: ['secret-word', privateKey],
  KEHU_JWKS_URL: ['ftp://secret-word/jwks', 'secret-word'],
  KEHU_ROOT_KEY: ['secret-word', publicKey],
  KEHU_OLD_ROOT_KEY: ['secret-word'],
  KEHU_ROOT_EVERY: ['sometimes', '-5 events', '7', '7 minutes; 5 events', '7 minutes,'],
  KEHU_TIME_ZONE: ['Mars/Olympus', 'UTC+8'],
  KEHU_ANALYST_ROLE: ['Secret-Word', 'a; drop role b', 'x'.repeat(64)],
  KEHU_RESERVATION_WAIT_MS: ['soon', '9', '60001', '10.5'],
  KEHU_START_WAIT_MS: ['never', '-1', '600001'],
  KEHU_DATABASE_WAIT_MS: ['soon', '499', '60001'],
  KEHU_READ_WAIT_MS: ['later', '-1', '60001'],
}

describe('a wrong environment', () => {
  const printed = vi.spyOn(console, 'warn')
  afterAll(() => printed.mockRestore())
  it.each(Object.entries(wrong).flatMap(([name, values]) => values.map((value) => [name, value] as const)))('%s=%j is named, and its value is not told', (name, value) => {
    const message = refusal({ [name]: value })
    expect(message).toMatch(new RegExp(`^The environment is not valid: ${name} `))
    expect(message).not.toContain(value)
    expect(message).not.toMatch(/secret/i)
    expect(printed).not.toHaveBeenCalled()
  })
  test('has every wrong variable named in one message', () => {
    const message = refusal(Object.fromEntries(Object.entries(wrong).map(([name, [value = '']]) => [name, value])))
    for (const [name, [value = '']] of Object.entries(wrong)) {
      expect(message).toContain(`${name} `)
      expect(message).not.toContain(value)
    }
    expect(message.split('\n')).toHaveLength(1)
  })
  test('that names two judges of tokens says so, along with all else that is wrong', () => {
    const both = { KEHU_PUBLIC_KEY: publicKey, KEHU_JWKS_URL: 'https://example.com/jwks' }
    expect(refusal(both)).toContain('KEHU_PUBLIC_KEY and KEHU_JWKS_URL')
    expect(refusal({ ...both, PORT: 'x', LOG_LEVEL: 'loudest' })).toMatch(/PORT .*LOG_LEVEL .*KEHU_PUBLIC_KEY and KEHU_JWKS_URL/)
  })
})

test('several names of one server’s protocol are taken, with credentials and options', () => {
  for (const url of ['esdb://localhost:2113?tls=false', 'esdb+discover://kehu:word@cluster.example:2113', 'kurrentdb://a:2113,b:2113,c:2113?tlsCAFile=/ca.pem', 'kurrentdb+discover://kehu:w%40rd@cluster', 'kdb://localhost?tls=false&keepAliveInterval=10000']) {
    expect(readConfig({ EVENTSTORE_URL: url, EVENTSTORE_PREFIX: 'north' })).toMatchObject({ eventStoreUrl: url, eventStorePrefix: 'north' })
  }
  expect(refusal({ EVENTSTORE_PREFIX: 'north' })).toContain('EVENTSTORE_PREFIX names a log in EventStoreDB: EVENTSTORE_URL must say where that is')
})

describe('an environment that says nothing', () => {
  const defaults = {
    port: 8080, host: '127.0.0.1', dataDir: '.kehu', databaseUrl: undefined, eventStoreUrl: undefined, eventStorePrefix: undefined, logLevel: 'info', masterKey: undefined, oldMasterKeys: [], identityKey: undefined, signingKey: undefined, publicKey: undefined,
    jwksUrl: undefined, tokenIssuer: 'kehu', rootKey: undefined, oldRootKey: undefined, rootEvery: { events: 10_000, ms: 600_000 }, rootsFile: '.kehu/roots.ndjson', timeZone: 'Asia/Shanghai', analystRole: 'kehu_analyst', reservationWaitMs: 2000, startWaitMs: 30_000, databaseWaitMs: 10_000, readWaitMs: 5000,
  }
  test('has defaults', () => {
    expect(readConfig({})).toMatchObject(defaults)
  })
  test('may want no roots signed', () => {
    expect(readConfig({ KEHU_ROOT_EVERY: 'off' }).rootEvery).toEqual({ events: null, ms: null })
    expect(readConfig({ KEHU_ROOT_EVERY: '500 events, 30 seconds' }).rootEvery).toEqual({ events: 500, ms: 30_000 })
  })
  test('or says it with blanks', () => {
    expect(readConfig({ ...Object.fromEntries([...Object.keys(wrong), 'HOST', 'KEHU_DATA_DIR', 'KEHU_ROOTS_FILE', 'KEHU_TOKEN_ISSUER'].map((name) => [name, ''])), HOME: '/root' })).toMatchObject(defaults)
  })
})

test('an environment that says everything is taken at its word', () => {
  expect(readConfig({
    PORT: '0', HOST: '0.0.0.0', KEHU_DATA_DIR: '/var/kehu', DATABASE_URL: 'postgresql://u:p@db:5432/kehu?sslmode=require', LOG_LEVEL: 'silent', KEHU_MASTER_KEY: ` ${key}\n`, KEHU_OLD_MASTER_KEYS: `${key}, ${key},`, KEHU_IDENTITY_KEY: key,
    KEHU_SIGNING_KEY: privateKey, KEHU_JWKS_URL: 'https://example.com/jwks', KEHU_TOKEN_ISSUER: 'bank', KEHU_ROOT_KEY: privateKey, KEHU_ROOT_EVERY: '1 minute', KEHU_ROOTS_FILE: '/audit/roots.ndjson', KEHU_TIME_ZONE: 'UTC', KEHU_ANALYST_ROLE: 'reports', KEHU_RESERVATION_WAIT_MS: '10', KEHU_DATABASE_WAIT_MS: '500', KEHU_READ_WAIT_MS: '0',
  })).toMatchObject({
    port: 0, host: '0.0.0.0', dataDir: '/var/kehu', databaseUrl: 'postgresql://u:p@db:5432/kehu?sslmode=require', logLevel: 'silent', masterKey: Buffer.alloc(32, 7), oldMasterKeys: [Buffer.alloc(32, 7), Buffer.alloc(32, 7)], identityKey: Buffer.alloc(32, 7),
    signingKey: privateKey, publicKey: undefined, jwksUrl: 'https://example.com/jwks', tokenIssuer: 'bank', rootKey: privateKey, rootEvery: { events: null, ms: 60_000 }, rootsFile: '/audit/roots.ndjson', timeZone: 'UTC', analystRole: 'reports', reservationWaitMs: 10, databaseWaitMs: 500, readWaitMs: 0,
  })
})
