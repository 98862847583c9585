import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { makeService } from '../support/runtime.ts'

const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }

describe('the path of a command', () => {
  let service: Awaited<ReturnType<typeof makeService>>
  beforeAll(async () => {
    service = await makeService()
  })
  afterAll(() => service.close())

  it('accepts the body the documentation begins with', async () => {
    const answer = await handleNamed(service.runtime, 'create-customer', {
      category: 'individual-retail', name: '王小明', identifiers: [{ kind: 'mobile', value: '+86 138 0013 8000' }], fields: { source: 'referral' }, contacts: [],
    }, { caller: clerk })
    expect(answer).toMatchObject({ status: 201, body: { revision: 1, events: [{ type: 'CustomerCreated', revision: 0 }, { type: 'OwnershipClaimed', revision: 1 }], warnings: [] } })
  })
})
