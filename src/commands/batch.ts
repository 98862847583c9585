import { z } from 'zod'
import type { Caller } from '../domain/decider.ts'
import type { Answer } from './handle.ts'
import { problem, type Problem } from './problem.ts'
import { toFieldProblems } from './register.ts'
import { commandNamed } from './registry.ts'
import type { Runtime } from './runtime.ts'
import { runTogether, type Waiting } from './together.ts'

/** A line of a batch. Every line has a key, so that sending the file again repeats nothing. */
export const BatchLine = z.strictObject({
  command: z.string().max(64),
  key: z.string().min(1).max(200).regex(/^[\x20-\x7e]+$/, 'printable ASCII'),
  onBehalfOf: z.string().max(64).optional(),
  ifMatch: z.int().min(0).optional(),
  body: z.record(z.string(), z.unknown()),
})

export type BatchAnswer = { line: number; key: string | null; status: number; answer: object }

export type BatchOptions = {
  runtime: Runtime
  /** The caller of a line; throws nothing: a refusal is a problem. */
  callerFor: (onBehalfOf: string | undefined) => Caller | Problem
  /** Commands under way at once. */
  concurrency: number
  /** What an unforeseen error becomes; the line is answered, the others go on. */
  onError: (error: unknown) => Problem
}

/** Characters of lines under way, at the most; a single one may be longer. */
const MOST_CHARACTERS = 8 * 1024 * 1024

/**
 * Runs commands line by line: in order within a stream, and appended together where several are at hand; concurrent
 * across streams; answers in the order of the lines, all that are there at a time, whether or not another line comes.
 * Lines come as many at a time as are at hand; `undefined` stands for one that is too long. Takes no more of them than
 * it can hold answers for.
 */
export async function* runBatch(lines: AsyncIterable<readonly (string | undefined)[]>, options: BatchOptions): AsyncIterable<readonly BatchAnswer[]> {
  const slots: { characters: number; answer?: BatchAnswer }[] = []
  const inLane = makeLanes(options.runtime, makeSlots(options.concurrency))
  const reader = lines[Symbol.asyncIterator]()
  let atHand: readonly (string | undefined)[] = []
  let taken = 0
  let number = 0
  let characters = 0
  let reading = false
  let ended = false
  let broken: { error: unknown } | undefined
  let wake: () => void = () => undefined

  // Bounded: a reader who does not take answers stops being read from.
  const hasRoom = () => slots.length === 0 || (slots.length < options.concurrency * 4 && characters < MOST_CHARACTERS)
  const take = (line: string | undefined): void => {
    number += 1
    if (line?.trim() === '') return
    const here = number
    const slot: (typeof slots)[number] = { characters: line?.length ?? 0 }
    slots.push(slot)
    characters += slot.characters
    void runLine(line, here, options, inLane).catch((error: unknown) => refusal(here, options.onError(error))).then((answer) => {
      slot.answer = answer
      if (slot === slots[0]) wake()
    })
  }
  const answered = (): BatchAnswer[] => {
    const there: BatchAnswer[] = []
    for (let first = slots[0]; first?.answer; first = slots[0]) {
      there.push(first.answer)
      characters -= first.characters
      slots.shift()
    }
    return there
  }
  const readOn = async (): Promise<void> => {
    reading = true
    try {
      const { done, value } = await reader.next()
      if (done) ended = true
      else [atHand, taken] = [value, 0]
    } catch (error) {
      broken = { error }
    } finally {
      reading = false
      wake()
    }
  }

  try {
    for (;;) {
      for (; taken < atHand.length && hasRoom(); taken += 1) take(atHand[taken])
      const there = answered()
      if (there.length > 0) {
        yield there
        continue
      }
      if (broken) throw broken.error
      if (ended && slots.length === 0 && taken === atHand.length) return
      if (!ended && !reading && taken === atHand.length && hasRoom()) void readOn()
      await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    // Not waited for: it would wait for the line that is being read.
    if (!ended) Promise.resolve(reader.return?.()).catch(() => undefined)
  }
}

const refusal = (line: number, given: Problem, key: string | null = null): BatchAnswer => ({ line, key, status: given.status, answer: given })

const runLine = async (line: string | undefined, number: number, options: BatchOptions, inLane: InLane): Promise<BatchAnswer> => {
  const refuse = (given: Problem, key: string | null = null) => refusal(number, given, key)
  if (line === undefined) return refuse(problem('body-too-large', 'The line has more than 1 MiB.'))
  const json = parseJson(line)
  if (json === undefined) return refuse(problem('malformed-json', 'The line is not one JSON object.'))
  const parsed = BatchLine.safeParse(json)
  if (!parsed.success) return refuse(problem('invalid-body', 'The line is not { "command", "key", "body" }.', { errors: parsed.error.issues.flatMap(toFieldProblems) }))
  const { command: name, key, onBehalfOf, ifMatch, body } = parsed.data
  const command = commandNamed(name)
  if (!command) return refuse(problem('invalid-body', 'There is no such command.', { errors: [{ path: 'command', message: 'must be one of those /docs lists' }] }), key)
  const caller = options.callerFor(onBehalfOf)
  if ('type' in caller) return refuse(caller, key)

  // A command on the organisation is decided on the whole of it, which knows only what is in the log.
  const together = command.right !== 'configure'
  try {
    const prepared = command.prepare(body)
    const { status, body: answer } = await inLane(prepared.stream, together, (runtime) => prepared.run(runtime, { caller, key, ifMatch }))
    return { line: number, key, status, answer }
  } catch (error) {
    return refuse(options.onError(error), key)
  }
}

type InLane = (stream: string | undefined, together: boolean, work: (runtime: Runtime) => Promise<Answer>) => Promise<Answer>

/** Those of one stream one after the other, in a lane of its own for as long as there are any; who names no stream at once. */
const makeLanes = (runtime: Runtime, slots: Slots): InLane => {
  const lanes = new Map<string, Waiting<Answer>[]>()

  const drain = async (stream: string, together: boolean, waiting: Waiting<Answer>[]): Promise<void> => {
    while (waiting.length > 0) {
      const release = await slots.take()
      await runTogether(runtime, stream, waiting, together).finally(release)
    }
    lanes.delete(stream)
  }
  /** Should a lane itself break, nobody may wait in it for ever. */
  const giveUp = (stream: string, waiting: Waiting<Answer>[]) => (error: unknown): void => {
    lanes.delete(stream)
    for (const { answer } of waiting.splice(0)) answer(Promise.reject(error))
  }

  return async (stream, together, work) => {
    if (stream === undefined) {
      const release = await slots.take()
      return work(runtime).finally(release)
    }
    return new Promise((resolve) => {
      const one = { work, answer: resolve }
      const lane = lanes.get(stream)
      if (lane) return lane.push(one)
      const opened = [one]
      lanes.set(stream, opened)
      void drain(stream, together, opened).catch(giveUp(stream, opened))
    })
  }
}

type Slots = { take: () => Promise<() => void> }

const makeSlots = (count: number): Slots => {
  let taken = 0
  const waiting: (() => void)[] = []
  const release = () => {
    const next = waiting.shift()
    if (next) next()
    else taken -= 1
  }
  return {
    take: async () => {
      if (taken < count) taken += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      return release
    },
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
