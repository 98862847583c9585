import { appendFile, open, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { canonical } from './canonical.ts'
import type { SignedRoot } from './signed-root.ts'

const Line = z.object({ logId: z.string(), size: z.int(), root: z.string(), signedAt: z.string(), key: z.string(), publicKey: z.string(), signature: z.string() })

/** The lines of the file of roots, and the numbers of those that are none. */
export type RootsFile = { roots: SignedRoot[]; unreadable: number[] }

const parseLine = (text: string): SignedRoot | undefined => {
  try {
    return Line.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

export const readRootsFile = async (file: string): Promise<RootsFile> => {
  const lines = (await readFile(file, 'utf8')).split('\n')
  const found: RootsFile = { roots: [], unreadable: [] }
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue
    const root = parseLine(line)
    if (root) found.roots.push(root)
    else found.unreadable.push(index + 1)
  }
  return found
}

/** The same where there may be no file yet. */
export const readRootsFileIfThere = async (file: string): Promise<RootsFile> => {
  try {
    return await readRootsFile(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { roots: [], unreadable: [] }
    throw error
  }
}

/** Adds lines to the file, on disk when this resolves. Half a line that a crash left at its end is taken away first: it was never a line. */
export const appendRoots = async (file: string, roots: readonly SignedRoot[]): Promise<void> => {
  await dropHalfLine(file)
  await appendFile(file, roots.map((root) => `${canonical(root)}\n`).join(''), { mode: 0o644, flush: true })
}

const dropHalfLine = async (file: string): Promise<void> => {
  const handle = await open(file, 'a+', 0o644)
  try {
    const { size } = await handle.stat()
    let end = size
    const byte = Buffer.alloc(1)
    while (end > 0 && (await handle.read(byte, 0, 1, end - 1)) && byte[0] !== 0x0a) end -= 1
    if (end < size) await handle.truncate(end)
  } finally {
    await handle.close()
  }
}
