import { z } from 'zod'
import type { KeyedHash } from '../../src/commands/keyed-hash.ts'
import type { Service } from './cluster.ts'
import { makeCommands, type Command } from './commands.ts'
import { makeRandom } from './random.ts'

export type Answered = { command: Command; status: number; text: string }
/**
 * A command on its way. All its events stand after `from`, those of this attempt after `since`; which is undefined
 * when an earlier attempt may still be running.
 */
export type Flight = { command: Command; life: string; from: bigint; since: bigint | undefined; first: boolean }

export type Load = {
  answered: Map<string, Answered>
  faults: string[]
  inFlight: (lives: readonly string[]) => Flight[]
  /** Commands in flight with these services are not sent again before this is called, with the end of the log at the kill. */
  hold: (lives: readonly string[]) => (endAtKill: bigint, late: ReadonlySet<string>) => void
  /** A new customer with an identifier somebody may have reserved, sent to a certain service first. */
  rival: (number: number, service: Service) => void
  /** Sends a command until it is answered for good. */
  settle: (command: Command, first?: Service) => Promise<Answered>
  /** Sends a command that was begun elsewhere and stopped, after a while. */
  late: (command: Command) => void
  newcomer: (number?: number) => Command
  stop: () => Promise<void>
  retries: () => number
  /** How often a service answered that the log is out of reach. */
  unavailable: () => number
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const Problem = z.looseObject({ type: z.string() })
const Line = z.object({ status: z.number(), answer: z.unknown() })
const Done = z.looseObject({ streamId: z.string(), revision: z.number(), events: z.array(z.unknown()) })

/** Answers that settle nothing: the same key is to be sent again. */
const isPassing = (status: number, text: string): boolean => status === 503 || (status === 409 && Problem.parse(JSON.parse(text)).type.endsWith('/contention'))

export const post = async (service: Service, token: string, { name, key, body, behalfOf }: Command): Promise<{ status: number; text: string }> => {
  const response = await fetch(`${service.url}/commands/${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key, 'on-behalf-of': behalfOf },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: response.status, text: await response.text() }
}

/** Sends a batch, and answers what came back of its answers before the connection ended. */
const postBatch = async (service: Service, token: string, commands: readonly Command[]): Promise<{ status: number; text: string }[]> => {
  const answers: { status: number; text: string }[] = []
  const take = (line: string) => {
    if (line === '') return
    const { status, answer } = Line.parse(JSON.parse(line))
    answers.push({ status, text: JSON.stringify(answer) })
  }
  try {
    const response = await fetch(`${service.url}/commands`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      body: commands.map(({ name, key, behalfOf, body }) => `${JSON.stringify({ command: name, key, onBehalfOf: behalfOf, body })}\n`).join(''),
      signal: AbortSignal.timeout(60_000),
    })
    if (response.status !== 200 || !response.body) return []
    let rest = ''
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(take)
    }
  } catch {
    // Cut off: the rest is asked for line by line.
  }
  return answers
}

export const startLoad = (options: { seed: number; writers: number; services: readonly Service[]; token: string; keyedHash: KeyedHash }): Load => {
  const { services, token, keyedHash, seed } = options
  const answered = new Map<string, Answered>()
  const faults: string[] = []
  const flights = new Map<string, Flight>()
  const held = new Map<string, { released: Promise<void>; end: bigint; late: ReadonlySet<string> }>()
  const { next, batch, newcomer, remember } = makeCommands({ seed, keyedHash })
  const extra: Promise<unknown>[] = []
  let stopping = false
  let retries = 0
  let unavailable = 0
  /** The end of the log when it was last looked at. */
  let end = 0n

  const settled = (command: Command, given: { status: number; text: string }): Answered => {
    const one = { command, ...given }
    if (given.status !== 200 && given.status !== 201 && given.status !== 409) faults.push(`${command.name} ${command.key} was answered ${given.status}: ${given.text.slice(0, 300)}`)
    answered.set(command.key, one)
    remember(command, given.status)
    return one
  }

  const settle = async (command: Command, first?: Service): Promise<Answered> => {
    const from = end
    let since: bigint | undefined = from
    let prefer = first
    for (let attempt = 0; ; attempt += 1) {
      const up = services.filter((service) => service.state === 'up')
      const service: Service | undefined = prefer && up.includes(prefer) ? prefer : up[Math.floor(Math.random() * up.length)]
      prefer = undefined
      if (!service) {
        await pause(10)
        continue
      }
      if (attempt > 0) retries += 1
      const { life } = service
      flights.set(command.key, { command, life, from, since, first: attempt === 0 })
      const given = await post(service, token, command).catch(() => undefined)
      if (given && !isPassing(given.status, given.text)) {
        flights.delete(command.key)
        return settled(command, given)
      }
      if (given?.status === 503) unavailable += 1
      // Its process was killed: what came of it is looked at before it is sent again; some come back late.
      const kill = given ? undefined : held.get(life)
      if (kill) {
        await kill.released
        since = since === undefined ? undefined : kill.end
        flights.delete(command.key)
        if (kill.late.has(command.key)) await pause(400 + Math.random() * 500)
      } else {
        since = undefined
        flights.delete(command.key)
        // Some ask again only when all that was sent has been carried out, or never will be.
        if (given?.status === 503 && Math.random() < 0.3) await pause(Math.random() * 3000)
      }
      await pause(5 + Math.random() * 40)
    }
  }

  /** Sends all at once; what is not answered for good, line by line afterwards. What one stream was told must be in the order of the lines. */
  const settleBatch = async (commands: readonly Command[]): Promise<void> => {
    const service = services.filter(({ state }) => state === 'up').at(Math.floor(Math.random() * services.length))
    const answers = service ? await postBatch(service, token, commands) : []
    const reached = new Map<string, number>()
    const rest: Command[] = []
    commands.forEach((command, index) => {
      const given = answers[index]
      if (!given || isPassing(given.status, given.text)) return void rest.push(command)
      settled(command, given)
      const done = given.status < 300 ? Done.parse(JSON.parse(given.text)) : undefined
      if (!done || done.events.length === 0) return
      if (done.revision <= (reached.get(done.streamId) ?? -1)) faults.push(`in a batch ${command.name} ${command.key} was told revision ${done.revision} of ${done.streamId}, and a line before it ${reached.get(done.streamId) ?? -1}`)
      reached.set(done.streamId, done.revision)
    })
    for (const command of rest) await settle(command)
  }

  const writers = Array.from({ length: options.writers }, async (_, writer) => {
    const random = makeRandom(seed * 1009 + writer)
    while (!stopping) await (writer % 8 === 7 ? settleBatch(batch(random)) : settle(next(random)))
  })
  const own = makeRandom(seed * 1013)

  return {
    answered,
    faults,
    inFlight: (lives) => [...flights.values()].filter((flight) => lives.includes(flight.life)),
    hold: (lives) => {
      let release: () => void = () => undefined
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      const one: { released: Promise<void>; end: bigint; late: ReadonlySet<string> } = { released, end: 0n, late: new Set() }
      for (const life of lives) held.set(life, one)
      return (endAtKill, late) => {
        end = endAtKill
        Object.assign(one, { end: endAtKill, late })
        release()
      }
    },
    rival: (number, service) => {
      extra.push(settle(newcomer(own, number), service))
    },
    settle,
    late: (command) => {
      extra.push(pause(500 + Math.random() * 1000).then(() => settle(command)))
    },
    newcomer: (number) => newcomer(own, number),
    stop: async () => {
      stopping = true
      await Promise.all(writers)
      await Promise.all(extra)
    },
    retries: () => retries,
    unavailable: () => unavailable,
  }
}
