import { reactions } from '../commands/processes/reactions.ts'
import type { Config } from '../config.ts'
import { withCore } from './core.ts'

export const processesTable = (config: Config, { json = false }: { json?: boolean }): Promise<void> =>
  withCore(config, async ({ processLog, runtime }) => {
    const head = await runtime.store.head()
    const standing = await Promise.all(reactions.map(async ({ process }) => {
      const position = await processLog.position(process)
      return { process, position: Number(position), lag: Number(head > position ? head - position : 0n) }
    }))
    const parked = (await processLog.parked()).map(({ process, key, command, problem, detail, since, tries, nextAt }) => ({ process, key, command, problem, detail, since, tries, 'next try': nextAt }))
    if (json) {
      for (const row of [...standing, ...parked]) console.log(JSON.stringify(row))
      return
    }
    console.log('Processes that react to events; those that act on time (complaint-deadlines, protection-lapses, protection-warnings, shares-that-end) read what is due as they go:')
    console.table(standing)
    if (parked.length === 0) console.log('Nothing is parked.')
    else {
      console.log('Parked: refused, and tried again ever more slowly')
      console.table(parked)
    }
  })
