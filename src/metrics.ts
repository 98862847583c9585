import { collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client'
import type { Runtime } from './commands/runtime.ts'

/** The process's own figures, and the time each command takes. */
export const collectMetrics = (metrics: Registry): NonNullable<Runtime['observe']> => {
  collectDefaultMetrics({ register: metrics })
  const commands = new Histogram({ name: 'kehu_command_seconds', help: 'Time from a command read to its answer', labelNames: ['command', 'status'], buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5], registers: [metrics] })
  return (command, status, seconds) => commands.observe({ command, status }, seconds)
}

/** How far each read model is behind, paused or stopped: asked for when somebody looks. */
export const watchLag = (metrics: Registry, ask: () => Promise<{ head: bigint; statuses: { model: string; version: number; state: string; position: bigint }[] }>): void => {
  const lag = new Gauge({
    name: 'kehu_projection_lag', help: 'How far a read model is behind the end of the log: events in Postgres, bytes of log in EventStoreDB', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { head, statuses } = await ask().catch(() => ({ head: 0n, statuses: [] }))
      for (const one of statuses) lag.set({ model: one.model }, Number(head > one.position ? head - one.position : 0n))
    },
  })
  const paused = new Gauge({
    name: 'kehu_projection_paused', help: '1 when an operator has paused a read model', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { statuses } = await ask().catch(() => ({ statuses: [] }))
      for (const one of statuses) paused.set({ model: one.model }, one.state === 'paused' ? 1 : 0)
    },
  })
  const stopped = new Gauge({
    name: 'kehu_projection_stopped', help: '1 when a read model has stopped at an event it cannot project', labelNames: ['model'], registers: [metrics],
    collect: async () => {
      const { statuses } = await ask().catch(() => ({ statuses: [] }))
      for (const one of statuses) stopped.set({ model: one.model }, one.state === 'stopped' ? 1 : 0)
    },
  })
}
