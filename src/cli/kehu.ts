import { enableCompileCache } from 'node:module'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ConfigError, readConfig } from '../config.ts'
import { EventStoreUnavailable } from '../event-store/port.ts'
import { ProblemError } from '../http/problem-error.ts'
import { version } from '../version.ts'
import { addAuditCommands } from './audit/command.ts'
import { addDuplicatesCommands } from './duplicates/command.ts'
import { ImportFault } from './import/fault.ts'
import type { ImportCommand } from './import/import.ts'
import { addLogCommands } from './log/command.ts'
import { addMatchingCommands } from './matching/command.ts'

// What a command needs is loaded when it is given: help, a wrong option and a token do not wait for the whole service.
enableCompileCache()

const roles = ['clerk', 'manager', 'system', 'admin', 'auditor', 'analyst'] as const
const role = (value: string) => {
  const known = roles.find((one) => one === value)
  if (!known) throw new InvalidArgumentError(`must be one of ${roles.join(', ')}.`)
  return known
}

const program = new Command('kehu')
  .description('Kehu 客户: an event-sourced customer service')
  .version(version)
  .configureOutput({ outputError: (text, write) => write(`kehu: ${text.trim().replace(/^error: /, '').replaceAll('\n', ' ')} (kehu --help lists the commands)\n`) })
  .exitOverride()
  .addHelpText('after', `
Environment:
  PORT (8080), HOST (127.0.0.1), KEHU_DATA_DIR (.kehu), DATABASE_URL, LOG_LEVEL; all of them in docs/operators.md

Examples:
  kehu serve
  kehu token --role clerk --employee zhang.wei
  kehu import febrl3.csv --map examples/import/febrl3.yaml --dry-run --report errors.csv
  kehu replay ownership 0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e10 --as-of 2026-03-03`)

const config = () => readConfig(process.env)

program.command('serve').description('run the service (npm start does)').action(() => import('./serve.ts').then(({ serveForeground }) => serveForeground(config())))

program.command('token').description('print a token and nothing else')
  .requiredOption('--role <role>', roles.join(', '), role)
  .option('--employee <id>', 'the employee whose token it is; for every role but system')
  .option('--name <system>', 'the name of the system; for the role system')
  .action((options: { role: (typeof roles)[number]; employee?: string; name?: string }) => import('./token.ts').then(({ token }) => token(config(), options)))

const projections = program.command('projections').description('read models: versions, positions, lag, state').option('--json', 'one object a line').action((options: { json?: boolean }) => import('./projections.ts').then(({ projectionsTable }) => projectionsTable(config(), options)))
projections.command('pause <model>').description('let a read model stand still, in every process, until it is resumed').action((model: string) => import('./projections.ts').then(({ pauseProjection }) => pauseProjection(config(), model)))
projections.command('resume <model>').description('let a paused read model go on').action((model: string) => import('./projections.ts').then(({ resumeProjection }) => resumeProjection(config(), model)))
projections.command('rebuild <model>').description('the same as kehu rebuild').action((model: string) => import('./projections.ts').then(({ rebuildModel }) => rebuildModel(config(), model)))
projections.command('prune').description('drop versions of read models that no process runs').action(() => import('./projections.ts').then(({ pruneProjections }) => pruneProjections(config())))

program.command('processes').description('what reacts to events and to time: where it stands, what is parked and why').option('--json', 'one object a line').action((options: { json?: boolean }) => import('./processes.ts').then(({ processesTable }) => processesTable(config(), options)))

program.command('rebuild <model>').description('build a read model anew from the log, beside the one in use, and swap it in').action((model: string) => import('./projections.ts').then(({ rebuildModel }) => rebuildModel(config(), model)))

program.command('compare [model]').description('replay the log into fresh tables and report every row that differs from those in use').action((model: string | undefined) => import('./compare.ts').then(({ compare }) => compare(config(), model)))

const replay = program.command('replay').description('answer from the events themselves')

replay.command('ownership <customerId>').description('who held a customer, from its stream alone')
  .option('--as-of <time>', 'only the period that contains this instant or day')
  .option('--known-at <time>', 'as the log knew it then: an instant, a day, or a position as callers hold it')
  .option('--json', 'as JSON instead of a table')
  .action((customerId: string, options: { asOf?: string; knownAt?: string; json?: boolean }) => import('./replay.ts').then(({ replayOwnership }) => replayOwnership(config(), customerId, options)))

replay.command('portfolio <employeeId>').description('whom an employee held, from the events of all customers')
  .option('--as-of <time>', 'at this instant or the end of this day; now unless told')
  .option('--known-at <time>', 'as the log knew it then: an instant, a day, or a position as callers hold it')
  .option('--json', 'as JSON instead of a table')
  .action((employeeId: string, options: { asOf?: string; knownAt?: string; json?: boolean }) => import('./replay.ts').then(({ replayPortfolio }) => replayPortfolio(config(), employeeId, options)))

program.command('keys').description('the keys that seal personal data')
  .command('rotate').description('draw a new master key and wrap every key of the keyring anew')
  .action(() => import('./keys.ts').then(({ keysRotate }) => keysRotate(config())))

program.command('import <file>').description('take over a file of another system: rows become commands by a map (examples/import)')
  .requiredOption('--map <map.yaml>', 'what becomes of the columns')
  .option('--dry-run', 'decide everything, write nothing')
  .option('--id <id>', 'the id of the import; without it, of the file and the map: the same again goes on where it stopped')
  .option('--report <errors.csv>', 'where what was refused is listed: row, field, reason')
  .option('--retry-refused', 'try rows anew that were refused for good, as duplicates are')
  .option('--as <name>', 'the system in whose name the rows are entered', 'import')
  .action((file: string, options: ImportCommand) => import('./import/import.ts').then(({ importFile }) => importFile(config(), file, options)))

addLogCommands(program, config)
addMatchingCommands(program, config)
addDuplicatesCommands(program, config)
addAuditCommands(program, config)

/** One clear line for whoever typed it; the rest is in the log. */
const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AggregateError' || ('code' in error && error.code === 'ECONNREFUSED')) return 'The database does not answer: is it running, and is DATABASE_URL right?'
  if (error instanceof EventStoreUnavailable) return `The event store does not answer: is it running, and is EVENTSTORE_URL right? (${error.message})`
  if ('code' in error && error.code === 'EADDRINUSE') return 'The port is taken by another program: set PORT to a free one'
  if ('code' in error && error.code === 'EACCES') return `Not permitted: ${error.message}`
  if (error instanceof ProblemError) return [error.problem.detail, ...(error.problem.errors ?? []).map(({ path, message }) => `${path} ${message}`)].join(' ')
  return error.message
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    console.error(`kehu: ${explain(error)}`)
    process.exitCode = error instanceof ConfigError || error instanceof ImportFault ? 2 : 1
  }
}
