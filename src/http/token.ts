import { createLocalJWKSet, createRemoteJWKSet, importSPKI, jwtVerify, type JWTPayload } from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'

/** What a token says of its bearer. `sub` is an employee's id or a system's name. */
export const Claims = z.object({
  sub: z.string().min(1).max(64),
  role: z.enum(['clerk', 'manager', 'system', 'admin', 'auditor', 'analyst']),
  employeeId: z.string().min(1).max(64).optional(),
  exp: z.number().optional(),
})
export type Claims = z.infer<typeof Claims>

/** The claims of a valid token; undefined for any other. */
export type VerifyToken = (token: string) => Promise<Claims | undefined>

export type TokenKeys = { kind: 'public-key'; pem: string } | { kind: 'jwks-url'; url: string } | { kind: 'jwks'; jwks: { keys: Record<string, unknown>[] } }

const MOST_REMEMBERED = 10_000

/** Ed25519 (RFC 8037) and nothing else: a token cannot choose its algorithm. A token once verified is remembered until it expires. */
export const makeVerifyToken = async (keys: TokenKeys, options: { issuer: string; now: () => Date }): Promise<VerifyToken> => {
  const verify = await verifierOf(keys)
  const remembered = new LRUCache<string, Claims>({ max: MOST_REMEMBERED, ttl: 5 * 60_000 })
  return async (token) => {
    const known = remembered.get(token)
    const seconds = options.now().getTime() / 1000
    if (known) return known.exp !== undefined && known.exp <= seconds ? undefined : known
    try {
      const claims = Claims.parse(await verify(token, { issuer: options.issuer, algorithms: ['EdDSA', 'Ed25519'], currentDate: options.now() }))
      remembered.set(token, claims)
      return claims
    } catch {
      return undefined
    }
  }
}

type Options = { issuer: string; algorithms: string[]; currentDate: Date }

const verifierOf = async (keys: TokenKeys): Promise<(token: string, options: Options) => Promise<JWTPayload>> => {
  switch (keys.kind) {
    case 'public-key': {
      const key = await importSPKI(keys.pem, 'EdDSA')
      return async (token, options) => (await jwtVerify(token, key, options)).payload
    }
    case 'jwks-url': {
      const set = createRemoteJWKSet(new URL(keys.url))
      return async (token, options) => (await jwtVerify(token, set, options)).payload
    }
    case 'jwks': {
      const set = createLocalJWKSet(keys.jwks)
      return async (token, options) => (await jwtVerify(token, set, options)).payload
    }
  }
}
