#!/usr/bin/env node
// Checks a proof made by `kehu audit prove`, offline, against a fingerprint held from elsewhere.
//   node verify-proof.mjs proof.json --fingerprint <64 hex digits>
// Needs Node.js 20 or later and nothing else. What it checks is written down in docs/storage-format.md.
// Exit code 0: everything holds. 1: something does not. 2: it was not asked rightly.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest()
const bytes = (hex) => Buffer.from(hex, 'hex')

/** RFC 8785. JavaScript compares strings by UTF-16 code units, as it asks. */
const jcs = (value) => {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${jcs(value[key])}`).join(',')}}`
}

const fingerprint = (publicKey) => sha256(Buffer.from(publicKey, 'base64')).toString('hex')
const isSigned = (publicKey, statement, signature) => {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey, 'base64').toString('base64url') }, format: 'jwk' })
  return verify(null, Buffer.from(jcs(statement)), key, Buffer.from(signature, 'base64'))
}

// RFC 6962, section 2.1; the walks are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
const leafHash = (eventHash) => sha256([0], bytes(eventHash))
const nodeHash = (left, right) => sha256([1], left, right)
const half = (n) => Math.floor(n / 2)

/** Walks a path up from a place in a tree; `step` is told each other side, and whether it is on the left. */
const walk = (index, size, path, step) => {
  let at = index
  let last = size - 1
  for (const other of path) {
    if (last === 0) return false
    const onLeft = at % 2 === 1 || at === last
    step(other, onLeft)
    if (onLeft) while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)]
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0
}
const isIncluded = (leaf, index, size, path, root) => {
  let hash = leaf
  const ended = walk(index, size, path, (other, onLeft) => (hash = onLeft ? nodeHash(other, hash) : nodeHash(hash, other)))
  return index >= 0 && index < size && ended && hash.equals(root)
}
const isGrownFrom = (first, second, path) => {
  if (first.size < 1 || first.size > second.size) return false
  if (first.size === second.size) return path.length === 0 && first.root.equals(second.root)
  const [start, ...others] = Number.isInteger(Math.log2(first.size)) ? [first.root, ...path] : path
  if (start === undefined) return false
  let [at, size] = [first.size - 1, second.size]
  while (at % 2 === 1) [at, size] = [half(at), half(size - 1) + 1]
  let [one, two] = [start, start]
  const ended = walk(at, size, others, (other, onLeft) => {
    if (onLeft) one = nodeHash(other, one)
    two = onLeft ? nodeHash(other, two) : nodeHash(two, other)
  })
  return ended && one.equals(first.root) && two.equals(second.root)
}

/** The keys to be believed: the one given, and whichever a believed one has endorsed. */
const believedKeys = ({ logId, keys }, given) => {
  const believed = new Set([given])
  for (let before = 0; before < believed.size;) {
    before = believed.size
    for (const { key, publicKey, endorsedBy, endorsement } of keys) {
      const endorser = believed.has(endorsedBy) && keys.find((one) => one.key === endorsedBy && fingerprint(one.publicKey) === endorsedBy)
      if (endorser && fingerprint(publicKey) === key && isSigned(endorser.publicKey, { logId, publicKey, type: 'kehu root key v1' }, endorsement)) believed.add(key)
    }
  }
  return believed
}

const check = (proof, given) => {
  const faults = []
  const must = (holds, fault) => holds || faults.push(fault)
  const { logId, stream, root, events, head, growth } = proof
  must(proof.kehu === 'proof' && proof.version === 1, 'this is not a proof of version 1')
  const believed = believedKeys(proof, given)
  const signedBy = (signer, statement, what) => {
    must(fingerprint(signer.publicKey) === signer.key, `${what}: its key does not have the fingerprint it names`)
    must(believed.has(signer.key), `${what}: it is signed by the key ${signer.key}, neither the one given nor endorsed by it`)
    must(isSigned(signer.publicKey, statement, signer.signature), `${what}: its signature does not hold`)
  }
  const checkRoot = (one, what) => {
    must(one.logId === logId, `${what}: it is of another log`)
    signedBy(one, { logId: one.logId, root: one.root, signedAt: one.signedAt, size: one.size, type: 'kehu root v1' }, what)
  }
  checkRoot(root, 'the root')

  let [prevHash, recordedAt, ordinal] = [sha256(stream).toString('hex'), '', 0]
  for (const [index, event] of events.entries()) {
    const { id, type, data, metadata: { hash, ...metadata } } = event
    const name = `event ${event.revision} (${type})`
    must(event.revision === index, `${name}: revision ${index} is missing before it`)
    must(event.ordinal > ordinal, `${name}: it does not come after the event before it`)
    must(metadata.prevHash === prevHash, `${name}: it is not chained to the event before it`)
    must(metadata.recordedAt >= recordedAt, `${name}: it was recorded before the event before it`)
    must(sha256(jcs({ data, id, metadata, revision: event.revision, stream, type })).toString('hex') === hash, `${name}: its content does not have its hash`)
    must(isIncluded(leafHash(hash), event.ordinal - 1, root.size, event.path.map(bytes), bytes(root.root)), `${name}: it does not stand at ordinal ${event.ordinal} under the root`)
    ;[prevHash, recordedAt, ordinal] = [hash, metadata.recordedAt, event.ordinal]
  }
  must(events.length > 0, 'it holds no event')
  must(head.revision === events.length - 1 && head.hash === prevHash, 'the keeper’s word on the last event is about another event')
  signedBy(head, { hash: head.hash, logId, revision: head.revision, root: root.root, size: root.size, stream, type: 'kehu head v1' }, 'the keeper’s word on the last event')
  if (growth) {
    checkRoot(growth.from, 'the earlier root')
    must(isGrownFrom({ size: growth.from.size, root: bytes(growth.from.root) }, { size: root.size, root: bytes(root.root) }, growth.path.map(bytes)), 'the log has not only grown since the earlier root')
  }
  return faults
}

const [file, flag, given = ''] = process.argv.slice(2)
if (file === undefined || flag !== '--fingerprint' || !/^[0-9a-f]{64}$/i.test(given)) {
  console.error('usage: node verify-proof.mjs <proof.json> --fingerprint <64 hex digits>')
  process.exit(2)
}
try {
  const proof = JSON.parse(readFileSync(file, 'utf8'))
  const faults = check(proof, given.toLowerCase())
  for (const fault of faults) console.log(`NOT PROVED: ${fault}`)
  if (faults.length === 0) {
    for (const { ordinal, revision, type, metadata } of proof.events) console.log(`${revision}\t${metadata.recordedAt}\t${type}\tby ${metadata.actor}\tordinal ${ordinal}`)
    console.log(`PROVED: these ${proof.events.length} events of ${proof.stream} stand so, in this order and with none between them, among the first ${proof.root.size} of log ${proof.logId}, under the root signed at ${proof.root.signedAt} by ${proof.root.key}.`)
    if (proof.growth) console.log(`PROVED: the log has only grown since the root over ${proof.growth.from.size} events, signed at ${proof.growth.from.signedAt}: ${proof.growth.from.root}`)
    console.log('NOT PROVED, but signed by the keeper: that none of the stream comes after them up to that root. An event that does convicts the keeper.')
    if (proof.eventsAfterRoot > 0) console.log(`Not looked at: ${proof.eventsAfterRoot} later event(s) the keeper says there are.`)
  }
  process.exitCode = faults.length === 0 ? 0 : 1
} catch (error) {
  console.log(`NOT PROVED: ${file} is not a whole proof: ${error.message}`)
  process.exitCode = 1
}
