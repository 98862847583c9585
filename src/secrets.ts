import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { importPKCS8, SignJWT } from 'jose'
import type { Config } from './config.ts'
import { makeRootKey, type RootKey } from './event-store/signed-root.ts'
import type { TokenKeys } from './http/token.ts'

/**
 * Secrets lie in the data folder, mode 0600, made at the first start; the environment takes precedence. None is logged.
 */
export type Secrets = {
  masterKeys: readonly [Buffer, ...Buffer[]]
  identityKey: Buffer
  tokenKeys: TokenKeys
  /** Absent where tokens are made elsewhere (KEHU_PUBLIC_KEY, KEHU_JWKS_URL). */
  signingKey: string | undefined
  /** Signs the log's roots; a key of its own, for who signs tokens shall not be able to sign those. */
  rootKey: RootKey
}

export class SecretError extends Error {
  override name = 'SecretError'
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Writes a secret that is whole or not there, and never over another. */
export const writeOnce = async (file: string, content: string): Promise<void> => {
  const fresh = `${file}.${process.pid}.new`
  await writeFile(fresh, content, { mode: 0o600, flush: true })
  try {
    await link(fresh, file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await rm(fresh, { force: true })
  }
}

const readOrMake = async (file: string, make: () => string): Promise<string> => {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  await writeOnce(file, make())
  return readFile(file, 'utf8')
}

const readKey = async (file: string): Promise<Buffer> => {
  const key = Buffer.from((await readOrMake(file, () => randomBytes(32).toString('base64') + '\n')).trim(), 'base64')
  if (key.length !== 32) throw new SecretError(`${file} does not hold a key of 32 bytes in base64: restore it from a backup`)
  return key
}

/** Earlier master keys still needed while `kehu keys rotate` wraps anew, one a line. */
const readOldKeys = async (file: string): Promise<Buffer[]> => {
  try {
    return (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '').map((line) => Buffer.from(line.trim(), 'base64'))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

export const secretFiles = (dataDir: string) => ({
  master: join(dataDir, 'master.key'),
  oldMasters: join(dataDir, 'master.old.keys'),
  identity: join(dataDir, 'identity.key'),
  signing: join(dataDir, 'signing-key.pem'),
  root: join(dataDir, 'root-key.pem'),
  tokens: join(dataDir, 'tokens'),
})

/** @throws SecretError naming the file or variable at fault */
export const loadSecrets = async (config: Config): Promise<Secrets> => {
  const files = secretFiles(config.dataDir)
  await mkdir(config.dataDir, { recursive: true, mode: 0o711 })
  const master = config.masterKey ?? (await readKey(files.master))
  const identityKey = config.identityKey ?? (await readKey(files.identity))
  const oldMasters = [...config.oldMasterKeys, ...(config.masterKey ? [] : await readOldKeys(files.oldMasters))]
  const signingKey = config.publicKey !== undefined || config.jwksUrl !== undefined ? undefined : (config.signingKey ?? (await readOrMake(files.signing, makeSigningKey)))
  const rootKey = readRootKey(config.rootKey ?? (await readOrMake(files.root, makeSigningKey)))
  return { masterKeys: [master, ...oldMasters], identityKey, signingKey, rootKey, tokenKeys: tokenKeysOf(config, signingKey) }
}

/** @throws SecretError */
export const readRootKey = (pem: string): RootKey => {
  try {
    return makeRootKey(pem)
  } catch (error) {
    throw new SecretError('The key of the roots is not an Ed25519 private key in PEM (PKCS #8)', { cause: error })
  }
}

export const makeSigningKey = (): string => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const tokenKeysOf = (config: Config, signingKey: string | undefined): TokenKeys => {
  if (config.jwksUrl !== undefined) return { kind: 'jwks-url', url: config.jwksUrl }
  if (config.publicKey !== undefined) return { kind: 'public-key', pem: config.publicKey }
  if (signingKey === undefined) throw new SecretError('No key says whose tokens count: set KEHU_PUBLIC_KEY or KEHU_JWKS_URL')
  try {
    const key = createPrivateKey(signingKey)
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`it is ${key.asymmetricKeyType ?? 'unknown'}`)
    return { kind: 'public-key', pem: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString() }
  } catch (error) {
    throw new SecretError('The signing key is not an Ed25519 private key in PEM (PKCS #8)', { cause: error })
  }
}

export type TokenSubject = { role: string; employeeId?: string | undefined; name?: string | undefined }

/** A signed token: a person's for a year (a departure ends it at once), a system's as well. */
export const signToken = async (signingKey: string, issuer: string, { role, employeeId, name }: TokenSubject): Promise<string> =>
  new SignJWT({ role, ...(employeeId === undefined ? {} : { employeeId }) })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
    .setSubject(employeeId ?? name ?? '')
    .setIssuer(issuer)
    .setIssuedAt()
    .setExpirationTime('365d')
    .sign(await importPKCS8(signingKey, 'EdDSA'))

/** Tokens to begin with, one a role, kept where only the owner of the data folder reads them. */
export const writeFirstTokens = async (config: Config, signingKey: string, subjects: readonly TokenSubject[]): Promise<void> => {
  const { tokens } = secretFiles(config.dataDir)
  await mkdir(tokens, { recursive: true, mode: 0o700 })
  await chmod(tokens, 0o700)
  for (const subject of subjects) await writeOnce(join(tokens, subject.role), `${await signToken(signingKey, config.tokenIssuer, subject)}\n`)
}
