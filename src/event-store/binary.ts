/**
 * One-dimensional arrays in the binary format PostgreSQL sends and receives (array_recv, and the *_recv of each
 * element type, in the server's source). Text arrays would have to be quoted here and unquoted there: for the rows
 * of an append that costs more than all else, and JSON for the rows of a read model as much as writing them.
 */
export type ArrayWriter = {
  uuids: (values: readonly string[]) => Buffer
  integers: (values: readonly (number | null)[]) => Buffer
  /** 64-bit integers, as decimal texts. */
  bigints: (values: readonly (string | null)[]) => Buffer
  booleans: (values: readonly (boolean | null)[]) => Buffer
  texts: (values: readonly (string | null)[]) => Buffer
  /** Bytes given in hex. */
  hexBytes: (values: readonly string[]) => Buffer
  /** Instants as RFC 3339 texts; PostgreSQL counts microseconds from the year 2000. */
  instants: (values: readonly (string | null)[]) => Buffer
  /** What was written before is given up: its buffer is written over. */
  reset: () => void
}

const OID = { uuid: 2950, int4: 23, int8: 20, bool: 16, text: 25, bytea: 17, timestamptz: 1184 }
const NULL = -1
const YEAR_2000 = Date.UTC(2000, 0, 1)

/**
 * Writes arrays one behind the other into one buffer that grows as needed; `bytes`: how long it is to begin with.
 * The writers throw TypeError for a value that is not of the type.
 */
export const makeArrayWriter = (bytes = 64 * 1024): ArrayWriter => {
  let buffer = Buffer.allocUnsafe(bytes)
  let at = 0
  let start = 0

  const reserve = (bytes: number): void => {
    if (at + bytes <= buffer.length) return
    // Arrays finished before stay where they are: only what is being written moves.
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at - start + bytes))
    buffer.copy(larger, 0, start, at)
    at -= start
    start = 0
    buffer = larger
  }

  const array = <Value>(oid: number, values: readonly (Value | null)[], most: (value: Value) => number, write: (value: Value) => void): Buffer => {
    start = at
    reserve(20)
    at = buffer.writeInt32BE(values.length === 0 ? 0 : 1, at)
    at = buffer.writeInt32BE(0, at)
    at = buffer.writeInt32BE(oid, at)
    if (values.length > 0) {
      at = buffer.writeInt32BE(values.length, at)
      at = buffer.writeInt32BE(1, at)
    }
    for (const value of values) {
      reserve(4 + (value === null ? 0 : most(value)))
      if (value === null) {
        at = buffer.writeInt32BE(NULL, at)
        continue
      }
      const length = at
      at += 4
      write(value)
      buffer.writeInt32BE(at - length - 4, length)
    }
    return buffer.subarray(start, at)
  }
  const hex = (digits: string): void => {
    const written = buffer.write(digits, at, 'hex')
    if (written * 2 !== digits.length) throw new TypeError('not bytes in hex')
    at += written
  }

  return {
    uuids: (values) => array(OID.uuid, values, () => 16, (value) => {
      const digits = value.replaceAll('-', '')
      if (digits.length !== 32) throw new TypeError('not a uuid')
      hex(digits)
    }),
    integers: (values) => array(OID.int4, values, () => 4, (value) => {
      at = buffer.writeInt32BE(value, at)
    }),
    bigints: (values) => array(OID.int8, values, () => 8, (value) => {
      if (!/^-?\d+$/.test(value)) throw new TypeError('not an integer')
      at = buffer.writeBigInt64BE(BigInt(value), at)
    }),
    booleans: (values) => array(OID.bool, values, () => 1, (value) => {
      at = buffer.writeUInt8(value ? 1 : 0, at)
    }),
    texts: (values) => array(OID.text, values, (value) => value.length * 3, (value) => {
      at += buffer.write(value, at, 'utf8')
    }),
    hexBytes: (values) => array(OID.bytea, values, (value) => value.length / 2, hex),
    instants: (values) => array(OID.timestamptz, values, () => 8, (value) => {
      const ms = Date.parse(value)
      if (Number.isNaN(ms)) throw new TypeError('not an instant')
      at = buffer.writeBigInt64BE(BigInt(ms - YEAR_2000) * 1000n, at)
    }),
    reset: () => {
      at = 0
    },
  }
}
