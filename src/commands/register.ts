import type { z } from 'zod'
import type { CommandDefinition } from './definition.ts'
import { handle, type Answer, type Envelope } from './handle.ts'
import { problem } from './problem.ts'
import { refuseRole } from './refusing.ts'
import { rolesWith, type Right } from './rights.ts'
import type { Runtime } from './runtime.ts'
import { checkText } from './text.ts'

/** A registered command: what it is, and how to run it on a body that has not been checked yet. */
export type Command = {
  name: string
  summary: { en: string; zh: string }
  schema: z.ZodType
  kind: string
  idName: string
  creates: boolean
  right: Right
  /** Whether its answer may tell of customers that are like the one it names. */
  looksUp: boolean
  run: (runtime: Runtime, body: unknown, envelope: Envelope) => Promise<Answer>
  /** A body checked once, to be run when its turn comes: commands to one stream keep their order in a batch. */
  prepare: (body: unknown) => Prepared
}
/** `stream` is the one the body goes to, where it is valid and names one. */
export type Prepared = { stream: string | undefined; run: (runtime: Runtime, envelope: Envelope) => Promise<Answer> }

/** A command of the registry, from what it is. */
export const register = <Body extends object, State, Event extends { type: string; data: object }>(
  definition: CommandDefinition<Body, State, Event>,
  /** What is done after the answer's append, and said of it. */
  conclude?: (runtime: Runtime, answer: Answer) => Promise<Answer>,
): Command => ({
  name: definition.name,
  summary: definition.summary,
  schema: definition.schema,
  kind: definition.decider.kind,
  idName: definition.idName,
  creates: definition.creates,
  right: definition.right,
  looksUp: definition.wouldBe !== undefined,
  run: async (runtime, body, envelope) => observed(runtime, definition.name, async () => concluded(runtime, envelope, await runChecked(runtime, definition, () => checked(definition, body), envelope), conclude)),
  prepare: (body) => {
    const given = checked(definition, body)
    const id = given.ok ? definition.target(given.body, () => '') : ''
    return {
      stream: id === '' ? undefined : `${definition.decider.kind}-${id}`,
      run: async (runtime, envelope) => observed(runtime, definition.name, async () => concluded(runtime, envelope, await runChecked(runtime, definition, () => given, envelope), conclude)),
    }
  },
})

const observed = async (runtime: Runtime, name: string, run: () => Promise<Answer>): Promise<Answer> => {
  const started = runtime.elapsed()
  const answered = await run()
  runtime.observe?.(name, String(answered.status), (runtime.elapsed() - started) / 1000)
  return answered
}

/** `sent`: the body as it came, text in its normal form. */
type Checked<Body> = { ok: true; body: Body; sent: unknown } | { ok: false; problems: { path: string; message: string }[] }

const checked = <Body>({ schema }: { schema: z.ZodType<Body> }, body: unknown): Checked<Body> => {
  const text = checkText(body)
  if (!text.ok) return text
  const parsed = schema.safeParse(text.value)
  return parsed.success ? { ok: true, body: parsed.data, sent: text.value } : { ok: false, problems: parsed.error.issues.flatMap(toFieldProblems) }
}

const runChecked = async <Body extends object, State, Event extends { type: string; data: object }>(runtime: Runtime, definition: CommandDefinition<Body, State, Event>, check: () => Checked<Body>, envelope: Envelope): Promise<Answer> => {
  const { role, onBehalfOf } = envelope.caller
  const roles = rolesWith[definition.right]
  if (!roles.includes(role)) return refuseRole(runtime, definition.name, `The role ${role} may not send ${definition.name}; ${roles.join(', ')} may.`, envelope)
  if (onBehalfOf !== null && role !== 'system') return refuseRole(runtime, definition.name, 'On-Behalf-Of is for systems alone: a person acts in their own name.', envelope)
  const given = check()
  return given.ok ? handle(runtime, definition, given.body, envelope, given.sent) : invalidBody(given.problems)
}

/** What follows from an accepted command before it is answered. */
const concluded = async (runtime: Runtime, envelope: Envelope, decided: Answer, conclude: ((runtime: Runtime, answer: Answer) => Promise<Answer>) | undefined): Promise<Answer> =>
  conclude && decided.status < 300 && envelope.dryRun !== true ? conclude(runtime, decided) : decided

const invalidBody = (errors: { path: string; message: string }[]): Answer => {
  const body = problem('invalid-body', `${errors.length} field(s) do not fit the command.`, { errors })
  return { status: body.status, body, commandId: '' }
}

/** One problem for each unknown key, rather than one for the object that holds them. */
export const toFieldProblems = (issue: z.core.$ZodIssue): { path: string; message: string }[] => {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key].join('/'), message: 'is not known here' }))
  return [{ path: path.join('/'), message: issue.message.endsWith('received undefined') ? 'is required' : issue.message }]
}
