import type { Answer, Envelope } from './handle.ts'
import { commandNamed } from './registry.ts'
import type { Runtime } from './runtime.ts'

/** Sends a command from inside: the same path as over HTTP. */
export const handleNamed = async (runtime: Runtime, name: string, body: unknown, envelope: Envelope): Promise<Answer> => {
  const command = commandNamed(name)
  if (!command) throw new TypeError(`no command is called ${name}`)
  return command.run(runtime, body, envelope)
}
