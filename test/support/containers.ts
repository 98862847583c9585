import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'

const Scalar = z.union([z.string(), z.number(), z.null()])

const Service = z.object({
  image: z.string(),
  build: z.string().optional(),
  environment: z.record(z.string(), Scalar).default({}),
  command: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  healthcheck: z.object({ test: z.array(z.string()), interval: z.string(), timeout: z.string(), retries: z.number() }).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  restart: z.string(),
  read_only: z.boolean().default(false),
  stop_grace_period: z.string().optional(),
})
export type Service = z.infer<typeof Service>

const Compose = z.object({ name: z.string(), services: z.record(z.string(), Service), volumes: z.record(z.string(), z.null()) })
export type Compose = z.infer<typeof Compose>

/** A compose file, as far as the tests look at it. Variables stand as they are written. */
export const readCompose = async (file: string): Promise<Compose> => Compose.parse(parse(await readFile(file, 'utf8'), { merge: true }))

/** Puts values in for `${NAME:-default}` and `${NAME:?message}`, as compose does; a required one must be given. */
export const interpolate = (text: string, given: Record<string, string> = {}): string =>
  text.replaceAll('$$', '\0').replaceAll(/\$\{(\w+)(?::(-|\?)([^}]*))?\}/g, (_, name: string, kind: string | undefined, rest: string) => {
    const value = given[name]
    if (value !== undefined) return value
    if (kind === '-') return rest
    throw new Error(`${name} is not given`)
  }).replaceAll('\0', '$')

export type Instruction = { name: string; args: string }

/** The instructions of a Dockerfile, continuation lines joined, comments left out. */
export const readDockerfile = async (file: string): Promise<Instruction[]> => {
  const lines = (await readFile(file, 'utf8')).replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n\s*/g, '')
  return [...lines.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name = '', args = '']) => ({ name, args }))
}

/** Whether a .dockerignore leaves a path out: of the patterns that match it or a folder above it, the last one decides. */
export const ignoredBy = (dockerignore: string) => {
  const patterns = dockerignore.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  const matches = (pattern: string, path: string) => new RegExp(`^${pattern.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('**', '\0').replaceAll('*', '[^/]*').replaceAll('\0', '.*')}(/|$)`).test(path)
  return (path: string): boolean => patterns.reduce((ignored, line) => (matches(line.replace(/^!/, ''), path) ? !line.startsWith('!') : ignored), false)
}
