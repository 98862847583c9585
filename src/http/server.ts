import type { Socket } from 'node:net'
import accepts from '@fastify/accepts'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import underPressure from '@fastify/under-pressure'
import Fastify, { LogController, type ConnectionError, type FastifyError, type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { problem } from '../commands/problem.ts'
import { analyticsRoutes } from './analytics-routes.ts'
import { auditRoutes, recordRead } from './audit-routes.ts'
import { authenticate } from './authenticate.ts'
import { batchRoute } from './batch-route.ts'
import { capacityRoutes } from './capacity-routes.ts'
import { commandRoutes } from './command-routes.ts'
import { complaintRoutes } from './complaint-routes.ts'
import { customerRoutes } from './customer-routes.ts'
import { descriptionRoutes } from './description-routes.ts'
import { duplicateCaseRoutes } from './duplicate-case-routes.ts'
import { duplicatesRoutes } from './duplicates-routes.ts'
import { employeeRecordRoutes } from './employee-record-routes.ts'
import { handleError, ProblemError, safe, sendProblem } from './errors.ts'
import { handoverRoutes } from './handover-routes.ts'
import { historyRoutes } from './history-routes.ts'
import { identifierRoutes } from './identifier-routes.ts'
import { makeLookupLimit } from './lookup-limit.ts'
import { healthRoutes, operationsRoutes } from './operations-routes.ts'
import { organisationRoutes } from './organisation-routes.ts'
import { portfolioRoutes } from './portfolio-routes.ts'
import { recordReportRoutes } from './record-report-routes.ts'
import { protectionRoutes } from './protection-routes.ts'
import { securityHeaders } from './security-headers.ts'
import type { Services } from './services.ts'
import { compileValidator } from './validator.ts'

const BODY_LIMIT = 1024 * 1024

/** The HTTP side: what is open, and behind a token everything else. */
export const makeServer = async (services: Services): Promise<FastifyInstance> => {
  const app = Fastify({
    loggerInstance: services.logger.child({}, { serializers: { err: safe } }),
    bodyLimit: BODY_LIMIT,
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    clientErrorHandler: answerUnreadable,
    return503OnClosing: false,
    // Fastify's own request lines hold whole URLs, and query strings hold phone numbers.
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: 200 },
    requestTimeout: 0,
    // A logger for each request would be made even where nothing is logged.
    childLoggerFactory: (logger) => logger,
  })
  app.setValidatorCompiler(compileValidator)
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    services.writes.failed(error)
    return handleError(error, request, reply)
  })
  const methodsAt = collectMethods(app)
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsAt(request.url)
    if (methods.length === 0) return sendProblem(reply, problem('not-found', 'There is nothing at this address.'))
    return sendProblem(reply, problem('method-not-allowed', `This address takes ${methods.join(', ')}.`), { allow: methods.join(', ') })
  })
  app.decorateRequest('claims', null)
  letGoWhenClosing(app)
  readJson(app)

  await app.register(accepts)
  const headers = securityHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Kehu 客户', version: services.version, description: 'An event-sourced customer service. Commands append events; queries read models built from them.' },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      security: [{ bearer: [] }],
      tags: ['commands', 'customers', 'complaints', 'duplicates', 'reports', 'organisation', 'analytics', 'audit', 'operations', 'description'].map((name) => ({ name })),
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })

  app.addHook('onRequest', (request, reply, done) => {
    if (!services.draining() || request.routeOptions.url?.startsWith('/health/')) return done()
    reply.header('connection', 'close')
    done(new ProblemError(problem('shutting-down', 'The service finishes what it has accepted and takes no more.')))
  })
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info({ method: request.method, route: request.routeOptions.url ?? 'unknown', status: reply.statusCode, ms: Math.round(reply.elapsedTime), caller: request.claims?.sub }, 'request')
    done()
  })

  await app.register(descriptionRoutes)
  await app.register(healthRoutes(services))
  await app.register(async (api) => {
    await api.register(underPressure, {
      maxEventLoopDelay: 2000,
      pressureHandler: () => {
        throw new ProblemError(problem('overloaded', 'The event loop is too late for another request.'))
      },
    })
    api.addHook('onRequest', async (request) => {
      request.claims = await authenticate(services, request.headers.authorization)
    })
    api.addHook('preHandler', (request) => recordRead(services, request))
    const lookupLimit = makeLookupLimit()
    await api.register(commandRoutes(services, lookupLimit))
    await api.register(batchRoute(services))
    await api.register(operationsRoutes(services))
    await api.register(customerRoutes(services, lookupLimit))
    await api.register(duplicatesRoutes(services, lookupLimit))
    await api.register(identifierRoutes(services, lookupLimit))
    await api.register(duplicateCaseRoutes(services))
    await api.register(complaintRoutes(services))
    await api.register(organisationRoutes(services))
    await api.register(analyticsRoutes(services))
    await api.register(auditRoutes(services))
    await api.register(historyRoutes(services))
    await api.register(portfolioRoutes(services))
    await api.register(capacityRoutes(services))
    await api.register(recordReportRoutes(services))
    await api.register(employeeRecordRoutes(services))
    await api.register(protectionRoutes(services))
    await api.register(handoverRoutes(services))
  })
  return app
}

/** What each address takes, learned from the routes as they are registered. */
const collectMethods = (app: FastifyInstance): ((url: string) => string[]) => {
  const routes: { method: string; pattern: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    if (url.includes('*')) return
    // A command's id is a UUID: what is not one, under /commands, is the name of a command.
    const pattern = new RegExp(`^${url.replaceAll('.', '\\.').replace(':commandId', '[0-9a-f-]{36}').replace(/:[^/]+/g, '[^/]+')}$`)
    for (const one of [method].flat()) routes.push({ method: one, pattern })
  })
  return (url) => {
    const [path = ''] = url.split('?')
    return [...new Set(routes.flatMap(({ method, pattern }) => (pattern.test(path) ? [method] : [])))].sort()
  }
}

/** While it closes, a connection is let go as soon as its answer is given, and at once if it never asked anything. */
const letGoWhenClosing = (app: FastifyInstance): void => {
  const silent = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => silent.add(socket.once('close', () => silent.delete(socket))))
  app.server.on('request', ({ socket }) => silent.delete(socket))
  app.addHook('preClose', async () => {
    const looking = setInterval(() => {
      app.server.closeIdleConnections()
      for (const socket of silent) socket.destroy()
    }, 50)
    app.server.once('close', () => clearInterval(looking))
  })
}

/** What is not HTTP is answered on the bare socket. It is not logged: it may hold anything. */
const answerUnreadable = (error: ConnectionError, socket: Socket): void => {
  if (socket.writable && error.code !== 'ECONNRESET') {
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
    const body = JSON.stringify({ ...problem('invalid-parameters', tooLarge ? 'The headers are too large.' : 'The request cannot be read.'), status: tooLarge ? 431 : 400 })
    socket.write(`HTTP/1.1 ${tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\nConnection: close\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }
  socket.destroy()
}

/** JSON bodies, with a problem that says where it stopped being JSON; never with the text itself. */
const readJson = (app: FastifyInstance): void => {
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    let text: string
    try {
      text = utf8.decode(Buffer.from(body))
    } catch {
      return done(new ProblemError(problem('malformed-json', 'The body is not UTF-8.')))
    }
    try {
      done(null, JSON.parse(text))
    } catch (error) {
      const message = error instanceof Error ? error.message : ''
      const [, at] = /position (\d+)/.exec(message) ?? []
      const where = at === undefined ? 'The body is not JSON.' : `The body stops being JSON at character ${at}.`
      done(new ProblemError(problem('malformed-json', message.includes('end of JSON') ? 'The body is not JSON: it ends too early, or is empty.' : where)))
    }
  })
}
