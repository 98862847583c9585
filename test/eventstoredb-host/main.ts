/** The host in a process of its own: one line says where it answers, faults are lines on stdin. */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { Faults } from './faults.ts'
import { startHost } from './host.ts'

const HELP = `A server that behaves like EventStoreDB 23.10, for tests and benchmarks.

  node --import tsx test/eventstoredb-host/main.ts [options]

  --port <n>           listen here; any free port unless told
  --file <path>        keep the log in this file; in memory only unless told
  --append-delay <ms>  how long an append is in flight before it is done
  --help               this text

It prints one line when it answers, and ends at SIGTERM or when stdin closes.
Faults are lines on stdin, each answered with "ok <name>" or what is wrong with it:

  dropConnections         every connection dies
  freeze, thaw            sockets are neither read nor written
  answerLate <ms>         answers of appends come so much later; 0 ends it
  loseAnswers <count>     the next appends are done, then their connection dies
  doubleAnswers <count>   the answers of the next appends of a batch call come twice
  refuseBefore <count>    the connection of the next appends dies before anything is done
  answerAfterGone <ms>    the connection of the next append dies, it is carried out so much later
  notReady on|off         appends and reads are answered with "Server Is Not Ready"
  slowConsumers           every live subscription is dropped as too slow
  notLeader <host> <port> what requires the leader is sent on to this one; "notLeader" alone ends it
  delayAppends <ms>       how long an append is in flight before it is done
`

const wholeNumber = (text: string | undefined, what: string): number => {
  if (text === undefined || !/^\d+$/.test(text)) throw new Error(`${what} must be a whole number, not ${text === undefined ? 'nothing' : `"${text}"`}`)
  return Number(text)
}

/** Carries out one line: a fault's name and what it takes. */
export const tellFault = (faults: Faults, line: string): string => {
  const [name = '', first, second] = line.trim().split(/\s+/)
  const actions: Record<keyof Faults, () => void> = {
    dropConnections: faults.dropConnections,
    freeze: faults.freeze,
    thaw: faults.thaw,
    slowConsumers: faults.slowConsumers,
    answerLate: () => faults.answerLate(wholeNumber(first, 'ms')),
    loseAnswers: () => faults.loseAnswers(wholeNumber(first, 'count')),
    doubleAnswers: () => faults.doubleAnswers(wholeNumber(first, 'count')),
    refuseBefore: () => faults.refuseBefore(wholeNumber(first, 'count')),
    answerAfterGone: () => faults.answerAfterGone(wholeNumber(first, 'ms')),
    delayAppends: () => faults.delayAppends(wholeNumber(first, 'ms')),
    notReady: () => {
      if (first !== 'on' && first !== 'off') throw new Error('notReady takes on or off')
      faults.notReady(first === 'on')
    },
    notLeader: () => faults.notLeader(first === undefined ? null : { host: first, port: wholeNumber(second, 'port') }),
  }
  const isFault = (text: string): text is keyof Faults => Object.hasOwn(actions, text)
  if (!isFault(name)) throw new Error(`there is no fault "${name}"; there are ${Object.keys(actions).join(', ')}`)
  actions[name]()
  return `ok ${name}`
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const options = () => {
  try {
    const { values } = parseArgs({ options: { port: { type: 'string' }, file: { type: 'string' }, 'append-delay': { type: 'string' }, help: { type: 'boolean', default: false } } })
    const { port, file, help } = values
    const delay = values['append-delay']
    return {
      help,
      ...(port !== undefined && { port: wholeNumber(port, '--port') }),
      ...(file !== undefined && { file }),
      ...(delay !== undefined && { appendDelayMs: wholeNumber(delay, '--append-delay') }),
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}

const main = async (): Promise<void> => {
  const { help, ...wanted } = options()
  if (help) return void process.stdout.write(HELP)
  const host = await startHost(wanted)
  const end = (): void => {
    void host.stop().finally(() => process.exit(0))
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    if (line.trim() === '') return
    try {
      say(tellFault(host.faults, line))
    } catch (error) {
      say(`error ${error instanceof Error ? error.message : String(error)}`)
    }
  })
  lines.once('close', end)
  say(`EventStoreDB test host answers at ${host.url}`)
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
