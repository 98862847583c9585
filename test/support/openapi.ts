import formats from 'ajv-formats'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { z } from 'zod'

const Operation = z.looseObject({
  operationId: z.string(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content: z.record(z.string(), z.looseObject({})).optional() })),
})
const Document = z.looseObject({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), Operation)) })
export type Operation = z.infer<typeof Operation> & { method: string; path: string }

/** Throws when an answer is not one the document allows for its route. */
export type Conformance = (method: string, url: string, answer: { status: number; headers: Headers; text: string; json: unknown }) => void

export const operationsOf = (document: unknown): Operation[] =>
  Object.entries(Document.parse(document).paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })))

/** An ajv that knows the document: its schemas are compiled by reference into it. */
export const schemasOf = (document: unknown): Ajv2020 => {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  formats.default(ajv)
  return ajv.addSchema({ ...Document.parse(document) }, 'openapi')
}

const pointer = (...parts: string[]) => parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).map(encodeURIComponent).join('').replaceAll('%2F', '/')

/** Paths that tell of the service itself and are not in the document. */
const undescribed = /^\/(openapi\.json|docs(\/(static\/.*|json|yaml)?)?)$/

export const makeConformance = (document: unknown): Conformance => {
  const ajv = schemasOf(document)
  const operations = operationsOf(document).map((operation) => ({ ...operation, pattern: new RegExp(`^${operation.path.replace(/\{[^}]+\}/g, '[^/]*')}$`) }))
  const compiled = new Map<string, ValidateFunction>()
  const validate = (reference: string) => {
    const known = compiled.get(reference) ?? ajv.compile({ $ref: reference })
    compiled.set(reference, known)
    return known
  }
  const check = (reference: string, value: unknown, where: string) => {
    const matches = validate(reference)
    if (!matches(value)) throw new Error(`${where} does not match ${reference}: ${ajv.errorsText(matches.errors)}\n${JSON.stringify(value)}`)
  }
  return (method, url, { status, headers, text, json }) => {
    const path = url.replace(/\?.*$/s, '')
    const where = `${method} ${path} → ${status}`
    if (status >= 500 && status !== 503) throw new Error(`${where}: ${text}`)
    const type = headers.get('content-type')?.replace(/;.*$/, '') ?? ''
    // A route without parameters is meant before one with them.
    const matching = operations.filter((one) => one.pattern.test(path)).sort((a, b) => a.path.split('{').length - b.path.split('{').length)
    const operation = matching.find((one) => one.method === method && one.path === matching[0]?.path)
    if (!operation) {
      if (status < 400 && undescribed.test(path)) return
      if (status < 400 || type !== 'application/problem+json') throw new Error(`${where} (${type}) is not described in /openapi.json: ${text}`)
      return check('openapi#/components/schemas/Problem', json, where)
    }
    const response = operation.responses[String(status)]
    if (!response) throw new Error(`${where} is not among the answers of ${operation.operationId} in /openapi.json: ${text}`)
    if (!response.content?.[type]) throw new Error(`${where} is ${type}, which /openapi.json does not say of ${operation.operationId}: ${text}`)
    check(`openapi#${pointer('paths', operation.path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema')}`, /json$/.test(type) && type !== 'application/x-ndjson' ? json : text, where)
  }
}
