/** A certificate for this machine, made when it is needed: signed by itself, for 127.0.0.1 and localhost. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

// Just enough DER (X.690) for an X.509 certificate (RFC 5280).

const tlv = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: Uint8Array[]): Buffer => tlv(0x30, ...parts)
const objectId = (...bytes: number[]): Buffer => tlv(0x06, Buffer.from(bytes))
const bits = (content: Uint8Array): Buffer => tlv(0x03, Buffer.from([0]), content)
const time = (date: Date): Buffer => tlv(0x18, Buffer.from(`${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`))

const ECDSA_WITH_SHA256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const COMMON_NAME = objectId(0x55, 0x04, 0x03)
const SUBJECT_ALT_NAME = objectId(0x55, 0x1d, 0x11)
const BASIC_CONSTRAINTS = objectId(0x55, 0x1d, 0x13)
const DAY_MS = 24 * 60 * 60 * 1_000

/** Certificate and key as PEM. The certificate is also the authority that a client has to trust. */
export const makeCertificate = (): { cert: Buffer; key: Buffer } => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from('EventStoreDB test host')))))
  const names = sequence(tlv(0x87, Buffer.from([127, 0, 0, 1])), tlv(0x82, Buffer.from('localhost')))
  const authority = sequence(tlv(0x01, Buffer.from([0xff])))
  const unsigned = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    name,
    sequence(time(new Date(Date.now() - DAY_MS)), time(new Date(Date.now() + DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(sequence(SUBJECT_ALT_NAME, tlv(0x04, names)), sequence(BASIC_CONSTRAINTS, tlv(0x01, Buffer.from([0xff])), tlv(0x04, authority)))),
  )
  const der = sequence(unsigned, ECDSA_WITH_SHA256, bits(sign('sha256', unsigned, privateKey)))
  const base64 = der.toString('base64').replaceAll(/.{64}/g, '$&\n')
  return {
    cert: Buffer.from(`-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`),
    key: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}
