import { generateKeyPairSync } from 'node:crypto'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { makeLiveOrganisation } from '../../src/commands/organisation.ts'
import { makeRootSigner, RootContradicted, type RootDependencies } from '../../src/commands/processes/roots.ts'
import { rootsInLog } from '../../src/commands/root-log.ts'
import { emptyHead } from '../../src/event-store/chain.ts'
import type { Codec } from '../../src/event-store/codec.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { emptyRange, growFrom, leafOf } from '../../src/event-store/merkle.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import type { RootRange, RootRanges } from '../../src/event-store/root-range.ts'
import { readRootsFile } from '../../src/event-store/roots-file.ts'
import { isSigned, makeRootKey } from '../../src/event-store/signed-root.ts'
import { inTurn, makeEvents, newStream } from '../event-store/contract.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

const newKey = () => makeRootKey(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
const memoryRanges = (): RootRanges & { lose: () => void } => {
  let kept: RootRange | undefined
  return {
    read: async () => kept,
    write: async (range) => {
      kept = range
    },
    lose: () => {
      kept = undefined
    },
  }
}
const rootOf = (store: MemoryStore, size: number): string => {
  const tree = growFrom(emptyRange)
  for (const event of store.since(0n).slice(0, size)) tree.append(leafOf(event.metadata.hash))
  return tree.root().toString('hex')
}

describe('the roots of the log', () => {
  let folder: string
  let opened: MemoryStore
  let codec: Codec
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kehu-roots-'))
    opened = makeMemoryStore()
    const runtime = makeRuntime(opened)
    codec = runtime.codec
    await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  let files = 0
  /** A log of its own, to write more to. `via`: what a signer reaches the store by. */
  const makeWorld = async () => {
    const store = opened.fork()
    const ranges = memoryRanges()
    const rootsFile = join(folder, `${(files += 1)}.ndjson`)
    const runtime = { ...makeRuntime(store), codec, organisation: makeLiveOrganisation(store, codec) }
    await runtime.organisation.refresh()
    const write = (count: number) => inTurn(count, async () => {
      const stream = newStream('note')
      await store.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream), [{ text: '部门' }]).events })
    })
    const signer = (over: Partial<RootDependencies> & { via?: EventStore } = {}) =>
      makeRootSigner({ runtime: { ...runtime, store: over.via ?? store }, placeId: 'here', ranges, rootKey, rootsFile, ...over })
    const inLog = async () => (await Array.fromAsync(rootsInLog({ store }, runtime.organisation.current().log?.logId ?? ''))).map(({ signed }) => signed)
    return { store, ranges, rootsFile, write, signer, inLog }
  }
  const rootKey = newKey()

  it('are those of the first n events, signed, in the log and in the file; with nothing new none is', async () => {
    const { store, rootsFile, write, signer, inLog } = await makeWorld()
    const first = await signer().signNow()
    expect(await signer().signNow()).toBeUndefined()
    await write(3)
    const second = await signer().signNow()
    for (const root of [first, second]) expect(root).toMatchObject({ key: rootKey.key, root: rootOf(store, root?.size ?? 0) })
    // The key and the first root are two events, and then there are three more.
    expect(second?.size).toBe((first?.size ?? 0) + 5)
    const roots = await inLog()
    expect(roots).toEqual([first, second])
    expect(roots.every(isSigned)).toBe(true)
    expect(await readRootsFile(rootsFile)).toEqual({ roots, unreadable: [] })
  })

  it('are not signed by a key over a log that contradicts one it signed before, even where all of the database was changed', async () => {
    const { store, ranges, rootsFile, write, signer } = await makeWorld()
    await write(2)
    const before = store.fork()
    await write(2)
    const signed = await signer().signNow()
    await write(1)
    // Restored to an earlier state, roots and all: only the file remembers.
    const restored = { via: before, ranges: memoryRanges() }
    await expect(signer(restored).signNow()).rejects.toThrow(new RootContradicted(`a root was signed over ${signed?.size} events, and the log has ${before.since(0n).length}`))
    // The place kept is of another log: it is not gone on from.
    await expect(signer({ ...restored, ranges }).signNow()).rejects.toThrow(RootContradicted)
    // An event fewer in the middle, and nothing remembered in the database.
    const removed: EventStore = { ...store, async *readAll(options) {
      for await (const batch of store.readAll(options)) yield { ...batch, events: batch.events.filter((event) => event.position !== 5n) }
    } }
    ranges.lose()
    await expect(signer({ via: removed }).signNow()).rejects.toThrow(`the first ${signed?.size} events are not those over which a root was signed`)
    expect((await readRootsFile(rootsFile)).roots).toEqual([signed])
    const size = store.since(0n).length - 1
    // Another key has signed nothing that would contradict it.
    expect(await signer({ via: removed, rootKey: newKey() }).signNow()).toMatchObject({ size })
  })

  it('whoever dies wherever, have one root for one size, and all of them come into the file', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ events: fc.nat(3), dies: fc.nat(24), half: fc.boolean(), lost: fc.boolean() }), { minLength: 1, maxLength: 8 }), async (lives) => {
      const { store, ranges, rootsFile, write, signer, inLog } = await makeWorld()
      for (const { events, dies, half, lost } of lives) {
        await write(events)
        let steps = 0
        /** The process dies at its nth step: before it is done, or after. */
        const mortal = <Args extends unknown[], T>(step: (...args: Args) => Promise<T>) => async (...args: Args): Promise<T> => {
          steps += 1
          if (steps > dies) throw new Error('killed')
          const result = await step(...args)
          if (steps === dies && half) throw new Error('killed')
          return result
        }
        const via = { ...store, append: mortal(store.append), eventAt: mortal(store.eventAt), head: mortal(store.head) }
        await signer({ via, ranges: { read: mortal(ranges.read), write: mortal(ranges.write) } }).signNow().catch((error: unknown) => expect(error).toMatchObject({ message: 'killed' }))
        if (lost) ranges.lose()
        if (half) await appendFile(rootsFile, '{"logId":"cut o')
      }
      await write(1)
      await signer().signNow()
      const roots = await inLog()
      for (const { size, root } of roots) expect(root).toBe(rootOf(store, size))
      expect(roots.every(isSigned)).toBe(true)
      const file = await readRootsFile(rootsFile)
      expect(file.unreadable).toEqual([])
      expect(file.roots.toSorted((a, b) => a.size - b.size)).toEqual(roots.toSorted((a, b) => a.size - b.size))
    }), { numRuns: 20 })
  })

  it('go into a file that was taken away or mangled, all that the log has', async () => {
    const { rootsFile, write, signer, inLog } = await makeWorld()
    await signer().signNow()
    await write(1)
    await signer().signNow()
    await rm(rootsFile)
    await signer().signNow()
    expect((await readRootsFile(rootsFile)).roots).toEqual(await inLog())
    const [, second = ''] = (await readFile(rootsFile, 'utf8')).split('\n')
    await writeFile(rootsFile, `not a root\n${second}\n`)
    await signer().signNow()
    const { roots, unreadable } = await readRootsFile(rootsFile)
    expect(unreadable).toEqual([1])
    expect(roots.map(({ size }) => size)).toEqual((await inLog()).map(({ size }) => size).toReversed())
  })
})
