import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { makeCompany, makeLookalike, type Company } from './chinese-companies.ts'
import { makePerson, makeRelative, type Person } from './chinese-persons.ts'
import { errorsOfCompanies, errorsOfPersons, type Errors } from './chinese-errors.ts'
import { makeRandom, type Random } from './random.ts'

const Share = z.number().min(0).max(1)
const Rates = z.record(z.string(), z.number().min(0))
const Settings = z.strictObject({
  seed: z.int(),
  records: z.int().positive(),
  individuals: Share,
  clusterSizes: z.array(Share),
  errorsPerDuplicate: z.array(Share),
  missing: z.strictObject({ individual: Rates, organisation: Rates }),
  errors: z.strictObject({ individual: Rates, organisation: Rates }),
  hardNegatives: z.strictObject({
    individual: z.strictObject({ family: Share, spouse: Share, child: Share, sibling: Share, twin: Share }),
    organisation: z.strictObject({ branch: Share, sameCoreOtherCity: Share, sameCoreOtherTrade: Share, groupShares: Share, sharedSwitchboard: Share, tenants: z.int().positive(), serviceNumber: Share }),
  }),
})
export type ChineseSettings = z.infer<typeof Settings>

export const readChineseSettings = async (file: URL | string = new URL('chinese.yaml', import.meta.url)): Promise<ChineseSettings> => Settings.parse(parse(await readFile(file, 'utf8')))

/** Company short names, a line each after a head of three lines. */
export const readVocabulary = async (file: URL | string): Promise<string[]> =>
  (await readFile(file, 'utf8')).split(/\r?\n/).slice(3).map((line) => line.trim()).filter((line) => /^\p{Script=Han}{2,6}$/u.test(line))

export type ChineseRecord<T> = T & { entity: string }
export type ChineseSet = { individual: ChineseRecord<Person>[]; organisation: ChineseRecord<Company>[]; duplicates: number; withErrors: number }

/** The set: for each kind the records of all customers, in an order that tells nothing, and which are one customer. */
export const makeChineseSet = (settings: ChineseSettings, vocabulary: readonly string[]): ChineseSet => {
  const random = makeRandom(settings.seed)
  const half = Math.round(settings.records * settings.individuals)
  const family = settings.hardNegatives.individual
  const lookalikes = settings.hardNegatives.organisation
  const counts = { duplicates: 0, withErrors: 0 }
  const names = shuffled(random, vocabulary)
  const persons: Person[] = []
  const companies: Company[] = []
  const nextPerson = (): Person => {
    const person = random.chance(family.family) && persons.length > 0 ? makeRelative(random, family, random.pick(persons)) : makePerson(random)
    persons.push(person)
    return person
  }
  const nextCompany = (): Company => {
    const company = makeLookalike(random, lookalikes, companies) ?? makeCompany(random, lookalikes, names.pop() ?? '恒达', companies)
    companies.push(company)
    return company
  }
  const individual = entered(random, settings, half, 'p', nextPerson, errorsOfPersons, settings.errors.individual, settings.missing.individual, counts)
  const organisation = entered(random, settings, settings.records - half, 'c', nextCompany, errorsOfCompanies, settings.errors.organisation, settings.missing.organisation, counts)
  return { individual: shuffled(random, individual), organisation: shuffled(random, organisation), ...counts }
}

/** Customers, each entered once to four times: what a record lacks, and what went wrong, is drawn for each. */
const entered = <T extends Record<string, string>>(
  random: Random, settings: ChineseSettings, count: number, prefix: string, make: () => T,
  errors: Errors<T>, weights: Record<string, number>, missing: Record<string, number>, counts: { duplicates: number; withErrors: number },
): ChineseRecord<T>[] => {
  const records: ChineseRecord<T>[] = []
  const sizes = settings.clusterSizes.map((share, index): [number, number] => [index + 1, share])
  const errorCounts = settings.errorsPerDuplicate.map((share, index): [number, number] => [index, share])
  for (let entity = 0; records.length < count; entity += 1) {
    const customer = make()
    const size = random.weighted(sizes)
    for (let copy = 0; copy < size && records.length < count; copy += 1) {
      const record = withGaps(random, customer, missing)
      if (copy > 0) {
        counts.duplicates += 1
        if (spoil(random, record, errors, weights, random.weighted(errorCounts)) > 0) counts.withErrors += 1
      }
      records.push({ ...record, entity: `${prefix}${entity}` })
    }
  }
  return records
}

const withGaps = <T extends Record<string, string>>(random: Random, customer: T, missing: Record<string, number>): T => {
  const record: Record<string, string> = { ...customer }
  for (const [field, share] of Object.entries(missing)) if (random.chance(share)) record[field] = ''
  return { ...customer, ...record }
}

/** Lets so many different errors happen to a record, of those that can; how many did. */
const spoil = <T>(random: Random, record: T, errors: Errors<T>, weights: Record<string, number>, count: number): number => {
  const left = new Map(Object.entries(weights))
  let happened = 0
  while (happened < count && left.size > 0) {
    const name = random.weighted([...left])
    left.delete(name)
    const error = errors[name]
    if (!error) throw new Error(`there is no error ${name}`)
    if (error(random, record)) happened += 1
  }
  return happened
}

const shuffled = <T>(random: Random, from: readonly T[]): T[] => {
  const to = [...from]
  for (let at = to.length - 1; at > 0; at -= 1) {
    const with_ = random.below(at + 1)
    const [one, other] = [to[at], to[with_]]
    if (one !== undefined && other !== undefined) [to[at], to[with_]] = [other, one]
  }
  return to
}
