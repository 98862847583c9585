import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { complaint } from '../../src/domain/complaint/complaint.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import { engagement } from '../../src/domain/engagement/engagement.ts'
import { domainEvent } from '../../src/domain/events.ts'
import { purchases } from '../../src/domain/purchases/purchases.ts'
import { recordReport } from '../../src/domain/record-report/record-report.ts'
import { inWords, toldTypes } from '../../src/http/history-words.ts'

const told = [customer, complaint, recordReport, purchases, engagement]
const folder = new URL('../golden/', import.meta.url)
const Golden = z.array(z.object({ stored: z.looseObject({ stream: z.string(), revision: z.number(), type: z.string(), data: z.unknown(), metadata: z.looseObject({ schemaVersion: z.number(), recordedAt: z.string(), actor: z.string(), commandId: z.string() }) }) }))
/** Every event of the golden files: those of every type and version there ever was. */
const stored = readdirSync(folder).flatMap((file) => Golden.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8'))).map((one) => one.stored))

/** Every value that is under the key of a person. */
const personalIn = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return []
  if ('personal' in value && 'value' in value) return [typeof value.value === 'string' ? value.value : JSON.stringify(value.value)]
  return Object.values(value).flatMap(personalIn)
}

describe('the history in words', () => {
  it('has words for every type of event it tells of, and for no other', () => {
    expect(toldTypes.toSorted()).toEqual(told.flatMap(({ events }) => Object.keys(events)).toSorted())
  })

  it.each(toldTypes)('tells %s in both languages, each in its own, and nothing about a person', (type) => {
    const events = stored.filter((one) => one.type === type)
    expect(events.length).toBeGreaterThan(0)
    for (const one of events) {
      const known = domainEvent(one)
      if (known?.kind !== 'customer' && known?.kind !== 'complaint' && known?.kind !== 'purchases' && known?.kind !== 'engagement' && known?.kind !== 'recordReport') return expect.fail(`${type} is not told of`)
      const [en, zh] = [inWords(known.event, 'en'), inWords(known.event, 'zh')]
      expect(zh).toMatch(/\p{Script=Han}/u)
      expect(en).toMatch(/[A-Za-z]{4}/)
      for (const words of [en, zh]) {
        expect(words).not.toMatch(/undefined|null|\[object/)
        for (const secret of personalIn(one.data)) expect(words).not.toContain(secret)
      }
    }
  })
})
