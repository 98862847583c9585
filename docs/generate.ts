import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { problems } from '../src/commands/problem.ts'
import { registry } from '../src/commands/registry.ts'
import { rolesWith } from '../src/commands/rights.ts'
import { projections } from '../src/projections/all.ts'
import { schemaOf } from '../src/projections/projection.ts'
import { ANALYTICS } from '../src/projections/views.ts'

/** The pages that follow from the code. `npm run docs` writes them; a test fails when they are not what the code says. */

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const row = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
const table = (head: readonly string[], rows: readonly (readonly string[])[]) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const problemsPage = (): string => `# Problems

Every refusal is \`application/problem+json\` (RFC 9457). Its \`type\` is \`/docs/problems/<name>\`: a name never changes its
meaning, and GET on it explains the problem. \`detail\` says what was wrong this time, \`errors\` names every bad field at
once as \`{ "path", "message" }\`. No problem repeats a personal value it was sent.

*Retry* means: the same request, with the same idempotency key, may succeed later. *Final* means: this is the answer to
this idempotency key from now on; a new try takes a new key. All others leave the key free.

${table(['name', 'status', 'title', 'retry', 'final', 'what to do'], [...problems].sort(([a], [b]) => a.localeCompare(b)).map(([name, entry]) =>
  [`\`${name}\``, String(entry.status), entry.title, entry.retryable ? 'yes' : '', entry.final ? 'yes' : '', entry.advice]))}

\`near-duplicate\`, \`capacity-reached\` and \`quota-reached\` are decided from state and yet not final. They rest on read models, or on a count that
changes by itself (somebody releases a customer, the next day begins) without anything having been wrong with the command. The attempts are on record.
`

const Described = z.looseObject({ properties: z.record(z.string(), z.looseObject({})).optional(), required: z.array(z.string()).optional(), allOf: z.array(z.looseObject({})).optional() })

const bodyOf = (schema: z.ZodType): string => {
  const { properties = {}, required = [] } = Described.parse(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
  return Object.keys(properties).map((name) => (required.includes(name) ? `\`${name}\`` : `\`${name}\`?`)).join(', ')
}

const commandsPage = (): string => `# Command reference

Every command, who may send it, and the fields of its body (\`?\`: may be left out). Types, limits and examples are in
\`/openapi.json\`, readable at \`/docs\`. How to send commands is in [commands.md](commands.md).

${table(['command', '', 'roles', 'what it needs', 'body'], registry.map((command) =>
  [`\`${command.name}\``, `${command.summary.en} ${command.summary.zh}`, rolesWith[command.right].join(', '), rightInWords[command.right], bodyOf(command.schema)]))}
`

const rightInWords = {
  enter: 'anyone of these roles; a system names the employee, unless `"claim": false`',
  claim: 'anyone of these roles, for a customer in the pool; a system names the employee',
  work: 'the customer is one’s own, or shared for work; a manager: of their departments as well',
  hold: 'the customer is one’s own; a manager: of their departments as well',
  direct: 'the customer is of one’s departments',
  configure: '',
  lodge: 'anyone of these roles, for any customer or for nobody named',
  handle: 'the complaint’s handler, the role of its level, managers of the handler’s department and above',
  record: 'as working the customer; what came from the customer, for any',
  judge: 'anyone opens a case; who works either of the two judges it',
  report: 'anyone of these roles, of any record',
  rule: 'managers of the department of the record and above, who are no party to the report; a system names who ruled',
  'keep-time': 'sent by Kehu itself when a deadline passes or a fact is recorded',
}

const dictionaryPage = (): string => `# Data dictionary

The tables of the read models, built from the log and from nothing else. A model's tables lie in a schema named by its
version; analysts query the views in \`${ANALYTICS}\`, which leave out every column marked *personal* and stay where they
are when a new version takes over. The same comments are on the tables, columns and views in Postgres.
${projections.map((projection) => `
## ${projection.model}, version ${projection.version}

Schema \`${schemaOf(projection)}\`.
${projection.tables.map((one) => `
### ${one.name}

${one.comment}. ${one.view === undefined ? 'Not for analysts.' : `For analysts: \`${ANALYTICS}.${one.view}\`.`}

${table(['column', 'type', 'meaning', ''], one.columns.map((column) => [`\`${column.name}\``, column.type.replace(' not null', '').replace(' generated always as identity', ''), column.comment, column.personal ? '*personal*' : '']))}
`).join('')}`).join('')}`

export const pages = (): Record<string, string> => ({
  'docs/problems.md': problemsPage(),
  'docs/command-reference.md': commandsPage(),
  'docs/data-dictionary.md': dictionaryPage(),
})

if (process.argv[1] === import.meta.filename) for (const [file, content] of Object.entries(pages())) await writeFile(file, content)
