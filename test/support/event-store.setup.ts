import { GenericContainer, Wait } from 'testcontainers'
import type { TestProject } from 'vitest/node'
import './event-stores.ts'

const PORT = 2113

/** A server in a container where the run asks for one; torn down with it. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const { eventStore } = project.getProvidedContext()
  if (eventStore.kind !== 'container') return async () => undefined
  const container = await new GenericContainer(eventStore.image)
    .withEnvironment({ EVENTSTORE_CLUSTER_SIZE: '1', EVENTSTORE_INSECURE: 'true', EVENTSTORE_MEM_DB: 'true', EVENTSTORE_TELEMETRY_OPTOUT: 'true' })
    .withExposedPorts(PORT)
    .withWaitStrategy(Wait.forHttp('/health/live', PORT).forStatusCodeMatching((status) => status < 300))
    .withStartupTimeout(120_000)
    .start()
  project.provide('eventStore', { kind: 'server', url: `esdb://${container.getHost()}:${container.getMappedPort(PORT)}?tls=false` })
  return async () => {
    await container.stop()
  }
}
