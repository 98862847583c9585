import { once } from 'node:events'
import { serveForeground } from '../../src/cli/serve.ts'
import { readConfig } from '../../src/config.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'

// The service as its next version would be: one read model has been raised, and is built when the test says so.
const told = once(process.stdin, 'data')
const { project } = customerLookup
Object.assign(customerLookup, {
  version: customerLookup.version + 1,
  project: (async (...batch) => {
    await told
    await project(...batch)
  }) satisfies typeof project,
})
await serveForeground(readConfig(process.env))
