import { connect } from 'node:net'
import { request } from 'node:http'

/** What a run of the tests keeps its logs in. Of `server` every test takes a log of its own, under a prefix. */
export type TestedStore = { kind: 'postgres' } | { kind: 'host' } | { kind: 'server'; url: string } | { kind: 'container'; image: string }

declare module 'vitest' {
  // eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- vitest is told by merging
  export interface ProvidedContext {
    eventStore: TestedStore
  }
}

export const defaultImage = 'eventstore/eventstore:23.10.8-bookworm-slim'

/** Does a Docker engine answer, where its client would look for one? */
const dockerAnswers = async (): Promise<boolean> => {
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'
  return new Promise((resolve) => {
    const answer = (answers: boolean) => () => resolve(answers)
    if (host.startsWith('unix://')) {
      request({ socketPath: host.slice('unix://'.length), path: '/_ping', timeout: 1000 }, (response) => resolve(response.statusCode === 200)).on('error', answer(false)).on('timeout', answer(false)).end()
      return
    }
    const { hostname, port } = new URL(host)
    const socket = connect({ host: hostname, port: Number(port || 2375), timeout: 1000 }, () => {
      socket.end()
      resolve(true)
    })
    socket.on('error', answer(false)).on('timeout', answer(false))
  })
}

/** The event stores to run the end-to-end tests on, besides Postgres; says which are left out, and why. */
export const eventStoresToTest = async (): Promise<{ name: string; eventStore: TestedStore; contract: string[] }[]> => {
  const url = process.env['EVENTSTORE_URL']
  // Meant for the tests of that server alone: the service's processes in all others must not inherit it.
  delete process.env['EVENTSTORE_URL']
  const say = (message: string) => process.stdout.write(`${message}\n`)
  const stores: { name: string; eventStore: TestedStore; contract: string[] }[] = [{ name: 'eventstoredb host', eventStore: { kind: 'host' }, contract: [] }]
  const contract = ['test/event-store/server.int.test.ts']
  if (url) stores.push({ name: 'eventstoredb server', eventStore: { kind: 'server', url }, contract })
  else say('skipped: the tests on an EventStoreDB server, for EVENTSTORE_URL is not set')
  if (await dockerAnswers()) stores.push({ name: 'eventstoredb container', eventStore: { kind: 'container', image: process.env['KEHU_TEST_EVENTSTORE_IMAGE'] ?? defaultImage }, contract })
  else say('skipped: the tests on an EventStoreDB container, for no Docker engine answers')
  return stores
}
