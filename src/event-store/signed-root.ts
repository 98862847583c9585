import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { canonical } from './canonical.ts'

/** A root of the log's first `size` events with all that is needed to check its signature: a line of the file auditors keep. */
export type SignedRoot = { logId: string; size: number; root: string; signedAt: string; key: string; publicKey: string; signature: string }

/** What signs roots, an Ed25519 key of its own. `key` is the fingerprint of its public half. */
export type RootKey = { key: string; publicKey: string; sign: (text: string) => string }

// What is signed (docs/storage-format.md). `type` keeps a signature over one thing from ever counting for another.
export const rootText = ({ logId, size, root, signedAt }: Pick<SignedRoot, 'logId' | 'size' | 'root' | 'signedAt'>): string =>
  canonical({ logId, root, signedAt, size, type: 'kehu root v1' })
export const endorsementText = (logId: string, publicKey: string): string => canonical({ logId, publicKey, type: 'kehu root key v1' })
/** The keeper's word that of the first `size` events none comes after this one in its stream. */
export const headText = (head: { logId: string; size: number; root: string; stream: string; revision: number; hash: string }): string =>
  canonical({ hash: head.hash, logId: head.logId, revision: head.revision, root: head.root, size: head.size, stream: head.stream, type: 'kehu head v1' })

/** The SHA-256 of the public key's 32 bytes: what an auditor holds, from elsewhere than the log. */
export const rootKeyFingerprint = (publicKey: string): string => createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex')

/** @throws TypeError when it is not an Ed25519 private key in PEM */
export const makeRootKey = (pem: string): RootKey => {
  const secret = createPrivateKey(pem)
  if (secret.asymmetricKeyType !== 'ed25519') throw new TypeError(`it is ${secret.asymmetricKeyType ?? 'unknown'}`)
  const publicKey = Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
  return { key: rootKeyFingerprint(publicKey), publicKey, sign: (text) => sign(null, Buffer.from(text, 'utf8'), secret).toString('base64') }
}

const publicKeyOf = (publicKey: string): KeyObject | undefined => {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey, 'base64').toString('base64url') }, format: 'jwk' })
  } catch {
    return undefined
  }
}

export const isSignedBy = (publicKey: string, text: string, signature: string): boolean => {
  const key = publicKeyOf(publicKey)
  return key !== undefined && verify(null, Buffer.from(text, 'utf8'), key, Buffer.from(signature, 'base64'))
}

/** Whether a root was signed by the key it names, and names it rightly. Whether that key is to be believed is another question. */
export const isSigned = (root: SignedRoot): boolean => rootKeyFingerprint(root.publicKey) === root.key && isSignedBy(root.publicKey, rootText(root), root.signature)

/** A key as the log lists it. */
export type ListedKey = { key: string; publicKey: string; endorsedBy: string | null; endorsement: string | null }

/** The keys to be believed: those given, and whichever one of them has endorsed, one after the other. */
export const believedKeys = (logId: string, given: readonly string[], listed: readonly ListedKey[]): ReadonlySet<string> => {
  const believed = new Set(given)
  const publicKeys = new Map(listed.filter(({ key, publicKey }) => rootKeyFingerprint(publicKey) === key).map(({ key, publicKey }) => [key, publicKey]))
  for (let before = -1; before < believed.size;) {
    before = believed.size
    for (const { key, publicKey, endorsedBy, endorsement } of listed) {
      const endorser = endorsedBy !== null && believed.has(endorsedBy) ? publicKeys.get(endorsedBy) : undefined
      if (endorser !== undefined && publicKeys.has(key) && isSignedBy(endorser, endorsementText(logId, publicKey), endorsement ?? '')) believed.add(key)
    }
  }
  return believed
}
