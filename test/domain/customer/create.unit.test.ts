import { describe, expect, it, test } from 'vitest'
import type { z } from 'zod'
import { customer, ownershipAt, ownershipNow } from '../../../src/domain/customer/customer.ts'
import { create, CreateCustomer } from '../../../src/domain/customer/profile.ts'
import {
  by, bySystem, claimed, created, fenced, field, fold, given, identityOf, inForce, mobile, on, person, recorded, refusedAt, sealed, sealedOf, templateVersions, today, withCategory, withPolicy, organisation,
} from '../../support/given.ts'

const entering = (more: Partial<z.input<typeof CreateCustomer>> = {}) => CreateCustomer.parse({ customerId: 'c', category: 'individual-retail', name: person.name, ...more })
const entry = (more: Partial<z.input<typeof CreateCustomer>> = {}, context = by('clerk')) => given(customer, []).when(create, entering(more), context)

describe('who enters owns', () => {
  test('the employee who enters a customer owns it, as first entry, under the policies in force', () => {
    entry().then([created(), claimed('clerk', { basis: 'first-entry' })], { policies: inForce('stages', 'tiers', 'ownership') })
  })
  test('an entry without a claim leaves the customer in the pool, its entrant on record', () => {
    entry({ claim: false }).then([created({ enteredBy: 'clerk' })], { policies: inForce('stages', 'tiers', 'ownership') })
  })
  test('who a system acts for owns what it enters', () => {
    entry({}, bySystem('colleague')).then([created({ enteredBy: 'colleague' }), claimed('colleague', { basis: 'first-entry' })])
  })
  test('a system that acts for nobody must say so', () => {
    entry({}, bySystem()).then({ rejected: 'on-behalf-of-required' })
    entry({ claim: false }, bySystem()).then([created({ enteredBy: null })])
  })
})

describe('a record taken over from elsewhere', () => {
  const takenOver = { enteredBy: 'somebody-else', enteredAt: '2019-05-01T00:00:00+08:00' }
  test('keeps who entered it there and when', () => {
    entry(takenOver).then([created({ enteredBy: 'somebody-else', enteredAt: '2019-04-30T16:00:00.000Z' }), claimed('clerk', { basis: 'first-entry' })])
  })
  test('is nobody\'s before it was entered here, whatever enteredAt says', () => {
    const state = fold(customer, [created({ enteredBy: 'somebody-else', enteredAt: '2019-04-30T16:00:00.000Z' }), claimed('clerk')].map(recorded))
    expect(ownershipAt(state, on(1, '08:59:59.999'))).toBeUndefined()
    expect(ownershipAt(state, on(1))).toMatchObject({ at: on(1), ownerId: null })
    expect(ownershipNow(state)).toMatchObject({ at: on(2), ownerId: 'clerk' })
  })
  test('cannot have been entered in the future', () => {
    entry({ enteredAt: on(26) }).then(refusedAt('invalid-effective-time', 'enteredAt'))
  })
})

describe('an entry that took effect earlier', () => {
  test('is the beginning of the customer and of its first owner', () => {
    entry({ effectiveAt: '2026-03-03T17:00:00+08:00' }).then([created(), claimed('clerk', { basis: 'first-entry' })], { effectiveAt: on(3) })
  })
  test('may be at this very instant, not after it', () => {
    entry({ effectiveAt: today }).then([created(), claimed('clerk', { basis: 'first-entry' })], { effectiveAt: today })
    entry({ effectiveAt: '2026-03-25T09:00:00.001Z' }).then(refusedAt('invalid-effective-time', 'effectiveAt'))
  })
  test('may not lie further back than the ownership policy allows: an owner comes with it', () => {
    const strict = by('clerk', { organisation: withPolicy('ownership', { backdatingDays: 7 }) })
    entry({ effectiveAt: on(18) }, strict).then([created(), claimed('clerk', { basis: 'first-entry' })])
    entry({ effectiveAt: on(18, '08:59:59.999') }, strict).then(refusedAt('invalid-effective-time', 'effectiveAt'))
  })
  test('names both times when both are wrong', () => {
    entry({ effectiveAt: on(26), enteredAt: on(27) }).then(refusedAt('invalid-effective-time', 'effectiveAt', 'enteredAt'))
  })
})

describe('the id of a customer', () => {
  test('is derived from the command when the caller names none, and its personal values are sealed under it', () => {
    entry({ customerId: undefined, claim: false }).then([created({ name: { personal: 'customer-this-command-customer', value: person.name } })])
  })
  test('is taken once', () => {
    given(customer, [created()]).when(create, entering()).then({ rejected: 'customer-exists' })
  })
  test('sent again by the same command, changes nothing', () => {
    given(customer, [created({}, { commandId: 'this-command' })]).when(create, entering({ name: person.newName })).then([])
  })
  test('may be used after an attempt to enter it was given up', () => {
    given(customer, [fenced(), fenced()]).when(create, entering()).then([created(), claimed('clerk', { basis: 'first-entry' })])
  })
  it.each([
    ['a mobile number as it is called abroad', { customerId: 'c-8613800138000', identifiers: [{ kind: 'mobile', value: person.mobile }] }],
    ['a mobile number as it is called at home', { customerId: person.mobile, identifiers: [{ kind: 'mobile', value: `+86 ${person.mobile}` }] }],
    ['a mobile number written with hyphens', { customerId: '138-0013-8000', identifiers: [{ kind: 'mobile', value: person.mobile }] }],
    ['a resident ID in small letters', { customerId: 'id-11010519491231002x', identifiers: [{ kind: 'resident-id', value: person.residentId }] }],
    ['another official number', { customerId: 'p88231907', identifiers: [{ kind: 'other', issuer: '外交部', value: person.licence }] }],
    ['an email address with its signs left out', { customerId: 'xiaoming.wang_example.cn', identifiers: [{ kind: 'email', value: person.email }] }],
  ] as const)('must not contain %s: it is seen by those who may not see the customer', (_what, { customerId, identifiers }) => {
    const { decision } = given(customer, []).when(create, entering({ customerId, identifiers: [...identifiers] }))
    expect(decision).toMatchObject({ rejected: 'invalid-fields', errors: [{ path: 'customerId' }] })
  })
  test('may be a number that is not an identifier of the customer', () => {
    entry({ customerId: '2026030300017', identifiers: [{ kind: 'mobile', value: person.mobile }, { kind: 'other', issuer: '外交部', value: '17' }], claim: false }).then([{
      ...created({ name: { personal: 'customer-2026030300017', value: person.name } }),
      data: {
        ...created().data, name: { personal: 'customer-2026030300017', value: person.name },
        identifiers: [
          { kind: 'mobile', identity: identityOf('mobile', '+8613800138000'), value: { personal: 'customer-2026030300017', value: '+8613800138000' } },
          { kind: 'other', identity: identityOf('other', '["外交部","17"]'), value: { personal: 'customer-2026030300017', value: '["外交部","17"]' } },
        ],
      },
    }])
  })
})

describe('identifiers', () => {
  test('are held in their normal form, named by a keyed hash, once each however often written', () => {
    entry({ identifiers: [{ kind: 'mobile', value: '+86 138-0013-8000' }, { kind: 'mobile', value: person.mobile }, { kind: 'email', value: 'Xiaoming.Wang@Example.cn' }], claim: false })
      .then([created({ identifiers: [mobile(person.mobile), { kind: 'email', identity: identityOf('email', person.email), value: sealed(person.email) }] })])
  })
})

describe('a profile', () => {
  test('needs nothing but a name at first', () => {
    expect(CreateCustomer.safeParse({ category: 'individual-retail', name: ' \u3000' }).success).toBe(false)
    entry().then([created(), claimed('clerk', { basis: 'first-entry' })])
  })
  test('is normalised; what is personal is sealed, for each contact under its own key', () => {
    entry({
      category: 'enterprise', claim: false,
      fields: { address: ` ${person.address} `, companyPhone: '0755-26881234', importance: 'A', numberOfShops: 3, salesModel: ['project', 'wholesale'], registeredCapital: { amount: 100_000_000, currency: 'CNY' } },
      contacts: [{ name: person.contact, fields: { mobile: person.contactMobile, role: 'insider' } }, { name: person.newContact }],
    }).then([created({
      category: 'enterprise', template: [...templateVersions.enterprise],
      fields: { address: sealed(person.address), companyPhone: sealed(person.phone), importance: 'A', numberOfShops: 3, salesModel: ['wholesale', 'project'], registeredCapital: { amount: 100_000_000, currency: 'CNY' } },
      contacts: [
        { contactId: 'this-command-contact-0', name: sealedOf('this-command-contact-0', person.contact), fields: { mobile: sealedOf('this-command-contact-0', `+86${person.contactMobile}`), role: 'insider' } },
        { contactId: 'this-command-contact-1', name: sealedOf('this-command-contact-1', person.newContact), fields: {} },
      ],
    })])
  })
  test('of a child category is checked against its parent\'s fields as well, and the event says which versions', () => {
    entry({ category: 'supplier-software', fields: { industry: 'software' }, claim: false })
      .then([created({ category: 'supplier-software', template: [...templateVersions['supplier-software']], fields: { industry: 'software' } })])
  })
  test('of a category nobody knows is refused', () => {
    entry({ category: 'nobody-knows' }).then(refusedAt('unknown-reference', 'category'))
  })
  test('has everything that is wrong with it named at once', () => {
    entry({
      identifiers: [{ kind: 'mobile', value: person.mobile }, { kind: 'uscc', value: '123' }, { kind: 'email', value: 'nowhere' }],
      fields: { source: 'dream', birthday: '1990-02-30', colour: 'red' },
      contacts: [{ name: person.contact }, { name: person.newContact, fields: { email: 'nowhere', role: 'friend' } }],
    }).then(refusedAt('invalid-fields', 'identifiers/1/value', 'identifiers/2/value', 'fields/source', 'fields/birthday', 'fields/colour', 'contacts/1/fields/email', 'contacts/1/fields/role'))
  })
  test('must have what the category requires from the first stage on, and a placeholder is not a value', () => {
    const strict = by('clerk', { organisation: withCategory({ categoryId: 'strict', fields: [field('source', { requiredFrom: 'target' }), field('address', { requiredFrom: 'active' })], contactFields: [field('title', { requiredFrom: 'target' })] }) })
    entry({ category: 'strict', contacts: [{ name: person.contact }] }, strict).then(refusedAt('invalid-fields', 'fields/source', 'contacts/0/fields/title'))
    entry({ category: 'strict', fields: { source: '暂无' } }, strict).then(refusedAt('invalid-fields', 'fields/source'))
  })
})

test('a customer begins at the first stage and the lowest tier of the policies in force', () => {
  const { stages, tiers } = organisation.policies
  const other = withPolicy('stages', { ...stages.value, initial: 'prospect' }, withPolicy('tiers', { ...tiers.value, tiers: tiers.value.tiers.toReversed() }))
  entry({ claim: false }, by('clerk', { organisation: other })).then([created({ stage: 'prospect', tier: 'premier' })],
    { policies: [{ name: 'stages', version: 5 }, { name: 'tiers', version: 6 }, { name: 'ownership', version: 6 }] })
})

test('a body takes nothing it does not know', () => {
  expect(CreateCustomer.safeParse({ category: 'other', name: 'x', owner: 'me' }).success).toBe(false)
  expect(CreateCustomer.safeParse({ category: 'other', name: 'x', customerId: 'a/b' }).success).toBe(false)
  expect(CreateCustomer.safeParse({ category: 'other', name: 'x', enteredAt: '2026-03-03' }).success).toBe(false)
})
