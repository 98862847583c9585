import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

const directives = { defaultSrc: ["'self'"], imgSrc: ["'self'", 'data:'], styleSrc: ["'self'", "'unsafe-inline'"], upgradeInsecureRequests: null }

/** The headers helmet gives every answer: always the same, so they are asked for once. */
export const securityHeaders = (): Record<string, string> => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  helmet({ contentSecurityPolicy: { directives } })(response.req, response, (error) => {
    if (error) throw error instanceof Error ? error : new Error('helmet gives no headers')
  })
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]))
}
