import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'

// Imported before the service starts, in each of its threads: it is then as its next version would be. One read model
// has been raised, and is built when the file named is there.
const go = process.env['KEHU_TEST_BUILD_WHEN'] ?? ''
const { project } = customerLookup
Object.assign(customerLookup, {
  version: customerLookup.version + 1,
  project: (async (...batch) => {
    while (!existsSync(go)) await sleep(20)
    await project(...batch)
  }) satisfies typeof project,
})
