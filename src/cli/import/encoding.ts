import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { ImportFault } from './fault.ts'

/** What the bytes of a file tell before a row of it is read. */
export type Bytes = { sha256: string; encoding: string; detected: boolean }

/** Decodes piece by piece; false from the first byte on that is not of the encoding. */
const makeTrial = (encoding: string) => {
  const decoder = new TextDecoder(encoding, { fatal: true })
  let fits = true
  return (chunk?: Uint8Array): boolean => {
    if (!fits) return false
    try {
      if (chunk) decoder.decode(chunk, { stream: true })
      else decoder.decode()
    } catch {
      fits = false
    }
    return fits
  }
}

const marked = (start: Uint8Array): string | undefined => (start[0] === 0xff && start[1] === 0xfe ? 'utf-16le' : start[0] === 0xfe && start[1] === 0xff ? 'utf-16be' : undefined)

/**
 * Reads the whole file once: its hash, and its encoding unless that is named. A byte-order mark tells UTF-16; what is
 * UTF-8 from end to end is UTF-8; else what is GB18030 from end to end (GBK and GB 2312 are parts of it) is GB18030.
 * @throws ImportFault
 */
export const inspect = async (path: string, named: string | undefined): Promise<Bytes> => {
  const hash = createHash('sha256')
  const candidates = (named === undefined ? ['utf-8', 'gb18030'] : [named]).map((encoding) => ({ encoding, fits: makeTrial(encoding) }))
  let byMark: string | undefined
  let first = true
  for await (const chunk of bytesOf(path)) {
    if (first && named === undefined) byMark = marked(chunk)
    first = false
    hash.update(chunk)
    for (const one of candidates) one.fits(chunk)
  }
  const fitting = byMark ?? candidates.find((one) => one.fits())?.encoding
  if (fitting === undefined) {
    throw new ImportFault(named === undefined
      ? `${path} is neither UTF-8 nor GB18030 from end to end: name its encoding in the map (file: { encoding: windows-1252 })`
      : `${path} is not ${named} from end to end: correct file/encoding in the map, or leave it out to have it detected`)
  }
  return { sha256: hash.digest('hex'), encoding: fitting, detected: named === undefined }
}

async function* bytesOf(path: string): AsyncIterable<Buffer> {
  try {
    for await (const chunk of createReadStream(path)) yield Buffer.from(chunk)
  } catch (error) {
    throw new ImportFault(`${path} cannot be read: ${error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such file' : error instanceof Error ? error.message : 'unknown'}`)
  }
}

/** The text of a file, piece by piece, without its byte-order mark. */
export async function* textOf(path: string, encoding: string): AsyncIterable<string> {
  const decoder = new TextDecoder(encoding, { fatal: true })
  let first = true
  const piece = (text: string) => {
    const bare = first ? text.replace(/^\uFEFF/, '') : text
    if (text !== '') first = false
    return bare
  }
  for await (const chunk of bytesOf(path)) yield piece(decoder.decode(chunk, { stream: true }))
  yield piece(decoder.decode())
}
