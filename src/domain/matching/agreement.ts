import { comparisons, type ComparisonName, type Kind, type Veto } from './comparisons.ts'
import type { Features } from './features.ts'
import { sameRegion, type Region } from './regions.ts'
import { isOneSlip, similarity } from './similarity.ts'

// Levels by their place in the lists of comparisons.ts.
const NONE = -1
const name = { same: 0, sound: 1, close: 2, part: 3, similar: 4, different: 5 }
const text = { same: 0, close: 1, similar: 2, different: 3 }
const code = { same: 0, close: 1, different: 2 }
const email = { same: 0, close: 1, local: 2, different: 3 }
const date = { same: 0, close: 1, partly: 2, different: 3 }
const order = { kept: 0, swapped: 1 }

/**
 * How two records agree: for each comparison of their kind, in the order of comparisons.ts, a level (-1 where one of
 * them has no value), and the value agreed on where it is the same.
 */
export type Agreement = { kind: Kind; levels: number[]; terms: (string | undefined)[]; veto: Veto | null }

export const comparisonNames: { readonly [K in Kind]: readonly ComparisonName[] } = {
  individual: keysOf(comparisons.individual),
  organisation: keysOf(comparisons.organisation),
}
function keysOf<K extends string>(of: Record<K, unknown>): K[] {
  return Object.keys(of).filter((key): key is K => key in of)
}

/** Compares two records, whichever comes first. */
export const agreementOf = (one: Features, other: Features): Agreement => {
  const agreement: Agreement = { kind: one.kind, levels: [], terms: [], veto: vetoOf(one, other) }
  if (one.kind === 'individual') comparePersons(agreement, one, other)
  else compareCompanies(agreement, one, other)
  put(agreement, ...best(one.mobiles, other.mobiles, phoneLevel))
  put(agreement, ...best(one.phones, other.phones, phoneLevel))
  put(agreement, ...best(one.emails, other.emails, emailLevel))
  put(agreement, ...best(one.numbers, other.numbers, numberLevel))
  comparePlaces(agreement, one, other)
  return agreement
}

const put = ({ levels, terms }: Agreement, level: number, term?: string): void => {
  levels.push(level)
  terms.push(level === 0 ? term : undefined)
}

const comparePersons = (agreement: Agreement, one: Features, other: Features): void => {
  const given = givenLevel(one, other)
  const surname = nameLevel(one.surname, one.surnameSound, other.surname, other.surnameSound)
  const across = agrees(given) || agrees(surname) ? undefined : (rotated(one, other) ?? exchanged(one, other))
  put(agreement, ...(across?.[0] ?? [given, common(one.given, other.given)]))
  put(agreement, ...(across?.[1] ?? [surname, one.surname]))
  put(agreement, across ? order.swapped : order.kept)
  put(agreement, dateLevel(one.birthDate, other.birthDate), one.birthDate)
}

const least = (one: string | undefined, other: string | undefined) => (one !== undefined && other !== undefined && one < other ? one : other)
const common = (one: string | undefined, other: string | undefined) => (one === other ? one : undefined)
const shorter = (one: string | undefined, other: string | undefined) => (one === undefined || other === undefined || one.length === other.length ? least(one, other) : one.length < other.length ? one : other)

const agrees = (level: number) => level >= name.same && level <= name.close

type Found = [level: number, term: string | undefined]

/** The names entered in each other's place: where as they stand neither agrees, and exchanged one does. */
const exchanged = (one: Features, other: Features): [Found, Found] | undefined => {
  const first = nameLevel(one.given, one.givenSound, other.surname, other.surnameSound)
  const second = nameLevel(one.surname, one.surnameSound, other.given, other.givenSound)
  return agrees(first) || agrees(second) ? betterFirst([first, least(one.given, other.surname)], [second, least(one.surname, other.given)]) : undefined
}

/** Latin names of several words in another order (Mary Ann Jones, Jones Mary Ann): the same words, wherever one ends and the other begins. */
const rotated = (one: Features, other: Features): [Found, Found] | undefined => {
  if (!hasManyWords(one) && !hasManyWords(other)) return undefined
  if (isSaid(one, other) || isSaid(other, one)) return [[name.sound, undefined], [name.sound, undefined]]
  const words = inOrder(one)
  if (words === undefined || words !== inOrder(other)) return undefined
  const [given, surname] = (one.given ?? '') <= (other.given ?? '') ? [one.given, one.surname] : [other.given, other.surname]
  return [[name.same, given], [name.same, surname]]
}
const hasManyWords = ({ given, surname }: Features) => given?.includes(' ') === true || surname?.includes(' ') === true
/** Whether words are a Chinese name in pinyin, its surname at either end: Wang Jian Guo, Jian Guo Wang. */
const isSaid = (latin: Features, han: Features): boolean => {
  if (han.given === undefined || latin.given === undefined || latin.surname === undefined || !beginsHan(han.given) || beginsHan(latin.given)) return false
  const said = bare(`${latin.given} ${latin.surname}`)
  return said === `${han.surnameSound}${han.givenSound}` || said === `${han.givenSound}${han.surnameSound}`
}
const inOrder = ({ given, surname }: Features): string | undefined => (given === undefined || surname === undefined || beginsHan(given) ? undefined : `${given} ${surname}`.split(' ').toSorted().join(' '))

/** Which of two values exchanged counts as which follows from how they agree, not from which record comes first. */
const betterFirst = (one: Found, other: Found): [Found, Found] => {
  const place = ([level]: Found) => (level === NONE ? Infinity : level)
  const isBefore = place(one) === place(other) ? (one[1] ?? '') <= (other[1] ?? '') : place(one) < place(other)
  return isBefore ? [one, other] : [other, one]
}

/** A nickname is a given name as well. */
const givenLevel = (one: Features, other: Features): number => {
  const level = nameLevel(one.given, one.givenSound, other.given, other.givenSound)
  if (level === name.same || (!one.aliases && !other.aliases)) return level
  return isMet([one.given, ...(one.aliases ?? [])], [other.given, ...(other.aliases ?? [])]) ? name.same : level
}

const isMet = (ones: readonly (string | undefined)[], others: readonly (string | undefined)[]) => ones.some((one) => one !== undefined && others.includes(one))

const nameLevel = (one: string | undefined, oneSound: string | undefined, other: string | undefined, otherSound: string | undefined): number => {
  if (one === undefined || other === undefined) return NONE
  if (one === other) return name.same
  const oneIsHan = beginsHan(one)
  const otherIsHan = beginsHan(other)
  // Written in two scripts: the same when one is the other's pinyin, else nothing is known.
  if (oneIsHan !== otherIsHan) return (oneIsHan ? oneSound : bare(one)) === (oneIsHan ? bare(other) : otherSound) ? name.sound : NONE
  return oneIsHan ? hanLevel(one, oneSound, other, otherSound) : latinLevel(one, oneSound, other, otherSound)
}

/** Cheaper than asking for the script; what is between Latin and Han hardly begins a name here. */
const beginsHan = (text: string) => text.charCodeAt(0) >= 0x2e80
const bare = (text: string) => (text.includes(' ') ? text.replaceAll(' ', '') : text)

const hanLevel = (one: string, oneSound: string | undefined, other: string, otherSound: string | undefined): number => {
  if (oneSound === otherSound) return name.sound
  const shorter = Math.min(one.length, other.length)
  if (shorter < 2) return name.different
  // Of two characters one is half the name: 志明 and 志强 are as often brothers.
  if (shorter > 2 && isOneSlip(one, other)) return name.close
  if (one.includes(other) || other.includes(one) || isOneSlip(one, other)) return name.part
  return shorter > 2 && similarity(one, other) >= 0.75 ? name.similar : name.different
}

const latinLevel = (one: string, oneSound: string | undefined, other: string, otherSound: string | undefined): number => {
  const [bareOne, bareOther] = [bare(one), bare(other)]
  const shorter = Math.min(bareOne.length, bareOther.length)
  if (bareOne === bareOther || (shorter >= 3 && isOneSlip(bareOne, bareOther))) return name.close
  const alike = similarity(bareOne, bareOther)
  if (oneSound === otherSound && alike >= 0.75) return name.sound
  if (alike >= 0.92) return name.close
  if (bareOne.startsWith(bareOther) || bareOther.startsWith(bareOne) || areInitials(one, other)) return name.part
  return alike >= 0.8 ? name.similar : name.different
}

/** Of as many words, each the same or the other's initial: J R, J Robert and John Robert. */
const areInitials = (one: string, other: string): boolean => {
  const [words, others] = [one.split(' '), other.split(' ')]
  return words.length > 1 && words.length === others.length && words.every((word, at) => {
    const there = others[at] ?? ''
    return word === there || (word.length === 1 && there.startsWith(word)) || (there.length === 1 && word.startsWith(there))
  })
}

const textLevel = (one: string | undefined, other: string | undefined): number => {
  if (one === undefined || other === undefined) return NONE
  if (one === other) return text.same
  const [bareOne, bareOther] = [bare(one), bare(other)]
  if (bareOne === bareOther || (Math.min(bareOne.length, bareOther.length) >= 3 && isOneSlip(bareOne, bareOther))) return text.close
  const alike = similarity(bareOne, bareOther)
  return alike >= 0.93 ? text.close : alike >= 0.8 ? text.similar : text.different
}

const codeLevel = (one: string | undefined, other: string | undefined): number => {
  if (one === undefined || other === undefined) return NONE
  return one === other ? code.same : isOneSlip(one, other) ? code.close : code.different
}

const wordLevel = (one: string | undefined, other: string | undefined): number => (one === undefined || other === undefined ? NONE : one === other ? 0 : 1)

const numberLevel = (one: string, other: string): number => (one === other ? code.same : isOneSlip(one.slice(one.indexOf(':')), other.slice(other.indexOf(':'))) ? code.close : code.different)

/** A switchboard's extensions are other people's, or the same who left it out: neither says much, nothing is made of it. */
const phoneLevel = (one: string, other: string): number => {
  if (one === other) return code.same
  const [base = '', extension] = one.split(';')
  const [otherBase = '', otherExtension] = other.split(';')
  if (base === otherBase) return extension !== undefined && otherExtension !== undefined ? NONE : code.close
  // The same number without its area or country code.
  return isOneSlip(base, otherBase) || endsWith(base, otherBase) || endsWith(otherBase, base) ? code.close : code.different
}
const endsWith = (long: string, short: string) => short.length >= 7 && long.length > short.length && long.endsWith(short)

const emailLevel = (one: string, other: string): number => {
  if (one === other) return email.same
  if (isOneSlip(one, other)) return email.close
  const local = one.slice(0, one.indexOf('@'))
  if (local.length >= 4 && local === other.slice(0, other.indexOf('@'))) return email.local
  return similarity(one, other) >= 0.93 ? email.close : email.different
}

const dateLevel = (one: string | undefined, other: string | undefined): number => {
  if (one === undefined || other === undefined) return NONE
  if (one === other) return date.same
  if (isOneSlip(one, other)) return date.close
  if (one.length !== 8 || other.length !== 8) return date.different
  const [year, month, day] = [one.slice(0, 4) === other.slice(0, 4), one.slice(4, 6) === other.slice(4, 6), one.slice(6) === other.slice(6)]
  if (year && one.slice(4, 6) === other.slice(6) && one.slice(6) === other.slice(4, 6)) return date.close
  return Number(year) + Number(month) + Number(day) === 2 ? date.partly : date.different
}

/** The best level any two values reach, and the value when they are the same. */
const best = (ones: readonly string[] | undefined, others: readonly string[] | undefined, levelOf: (one: string, other: string) => number): [number, string?] => {
  let found: number = NONE
  if (!ones || !others) return [found]
  for (const one of ones) {
    for (const other of others) {
      const level = levelOf(one, other)
      if (level === 0) return [0, one]
      if (level !== NONE && (found === NONE || level < found)) found = level
    }
  }
  return [found]
}

const compareCompanies = (agreement: Agreement, one: Features, other: Features): void => {
  const level = nameLevel(one.core, one.coreSound, other.core, other.coreSound)
  const called = level > name.same && (one.aliases || other.aliases) && isMet([one.core, ...(one.aliases ?? [])], [other.core, ...(other.aliases ?? [])]) ? name.same : level
  put(agreement, called, common(one.core, other.core))
  const [here, there] = [regionOf(one, other), regionOf(other, one)]
  put(agreement, here && there ? wordOf(sameRegion(here, there)) : NONE, common(here?.city, there?.city) ?? here?.province)
  put(agreement, tradeLevel(one.trade, other.trade), shorter(one.trade, other.trade))
  put(agreement, wordLevel(one.form, other.form), one.form)
  put(agreement, one.core === undefined || one.core !== other.core || (one.form === undefined) !== (other.form === undefined) ? NONE : wordOf(isRegisteredAs(one, other)))
  put(agreement, one.branch === undefined || other.branch === undefined ? NONE : wordOf(!branchesDiffer(one.branch, other.branch)))
}

/** No two companies are registered under one name: one that names neither place nor trade is one of a kind. */
const isRegisteredAs = (one: Features, other: Features): boolean =>
  one.form === other.form && one.trade === other.trade && one.branch === other.branch
  && (one.region === undefined ? other.region === undefined : one.region.province === other.region?.province && one.region.city === other.region?.city)

const wordOf = (isSame: boolean) => (isSame ? 0 : 1)

/** Where a name says it is; one that names no place is where the company's address is, if addresses are not compared anyway. */
const regionOf = (one: Features, other: Features): Region | undefined => {
  if (one.region) return one.region
  const compared = (one.province !== undefined && other.province !== undefined) || (one.city !== undefined && other.city !== undefined)
  return compared || one.province === undefined ? undefined : { province: one.province, ...(one.city === undefined ? {} : { city: one.city }) }
}

/** 科技 and 科技发展 are one trade, told more or less fully. */
const tradeLevel = (one: string | undefined, other: string | undefined): number =>
  one === undefined || other === undefined ? NONE : one.includes(other) || other.includes(one) || isOneSlip(one, other) ? 0 : 1

const textAgrees = (level: number) => level === text.same || level === text.close

/** The two lines of an address are often written in each other's place. */
const comparePlaces = (agreement: Agreement, one: Features, other: Features): void => {
  const [street, building] = [textLevel(one.street, other.street), textLevel(one.building, other.building)]
  const mayBeSwapped = !textAgrees(street) && !textAgrees(building)
  const [across, back] = mayBeSwapped ? [textLevel(one.street, other.building), textLevel(one.building, other.street)] : [NONE, NONE]
  const swapped = textAgrees(across) || textAgrees(back) ? betterFirst([across, least(one.street, other.building)], [back, least(one.building, other.street)]) : undefined
  put(agreement, ...(swapped?.[0] ?? [street, one.street]))
  put(agreement, codeLevel(one.streetNumber, other.streetNumber), one.streetNumber)
  put(agreement, ...(swapped?.[1] ?? [building, one.building]))
  put(agreement, textLevel(one.district, other.district), one.district)
  const [city, postcode] = [textLevel(one.city, other.city), codeLevel(one.postcode, other.postcode)]
  put(agreement, city, one.city)
  // It follows from the city, and from the postcode: that it agrees as well says nothing more.
  put(agreement, city === text.same || postcode === code.same ? NONE : wordLevel(one.province, other.province), one.province)
  put(agreement, postcode, one.postcode)
}

const vetoOf = (one: Features, other: Features): Veto | null => {
  if (one.kind !== other.kind) return 'kinds-differ'
  if (differ(one.numbers, other.numbers, 'uscc:')) return 'uscc-differs'
  if (differ(one.numbers, other.numbers, 'rid:')) return 'resident-id-differs'
  return one.kind === 'organisation' && branchesDiffer(one.branch, other.branch) ? 'branch-differs' : null
}

/** Both have a valid one, and none in common. */
const differ = (ones: readonly string[] | undefined, others: readonly string[] | undefined, prefix: string): boolean => {
  if (!ones || !others) return false
  const mine = ones.filter((number) => number.startsWith(prefix))
  const theirs = others.filter((number) => number.startsWith(prefix))
  return mine.length > 0 && theirs.length > 0 && !mine.some((number) => theirs.includes(number))
}

/** A place told more or less fully (深圳南山支行, 南山支行) is one branch. */
const branchesDiffer = (one: string | undefined, other: string | undefined): boolean => {
  if (one === other) return false
  if (one === undefined || other === undefined) return true
  return !one.endsWith(other) && !other.endsWith(one)
}
