/**
 * What is compared, and at which levels two values may agree: the best first, `different` last. A value that one of
 * the two lacks is no evidence. The names stand in policies and in cases: add, never change.
 */
const name = ['same', 'sound', 'close', 'part', 'similar', 'different'] as const
const text = ['same', 'close', 'similar', 'different'] as const
const code = ['same', 'close', 'different'] as const
const word = ['same', 'different'] as const

const contact = { mobile: code, phone: code, email: ['same', 'close', 'local', 'different'], number: code } as const
const place = { street: text, 'street-number': code, building: text, district: text, city: text, province: word, postcode: code } as const

export const comparisons = {
  individual: {
    given: name,
    surname: name,
    'name-order': ['kept', 'swapped'],
    'birth-date': ['same', 'close', 'partly', 'different'],
    ...contact,
    ...place,
  },
  organisation: { core: name, region: word, trade: word, 'legal-form': word, 'whole-name': word, branch: word, ...contact, ...place },
} as const satisfies Record<string, Record<string, readonly string[]>>

export type Kind = keyof typeof comparisons
export type ComparisonName = keyof (typeof comparisons)['individual'] | keyof (typeof comparisons)['organisation']
export type Level = (typeof name | typeof contact.email | (typeof comparisons)['individual']['birth-date'] | (typeof comparisons)['individual']['name-order'])[number]

/** Comparisons whose values are more or less common, so that agreeing on a rare one says more. */
export const withTerms: ReadonlySet<ComparisonName> = new Set(['given', 'surname', 'core', 'birth-date', 'mobile', 'phone', 'email', 'street', 'street-number', 'building', 'district', 'city', 'province', 'postcode', 'region', 'trade', 'legal-form'])

/** What somebody is called. */
export const nameNames: ReadonlySet<ComparisonName> = new Set(['given', 'surname', 'name-order', 'core'])

/** Where something is: who moves has all of it new at once, so that it counts as one. */
export const placeNames: ReadonlySet<ComparisonName> = new Set(['street', 'street-number', 'building', 'district', 'city', 'province', 'postcode'])

/**
 * What else two records that agree may be: not one customer, but two that share something. Each shares these
 * comparisons as two records of one customer do, and the others as strangers do, but for what it has a habit of:
 * brothers and sisters often have a character of the given name in common.
 */
type RivalOf<K extends Kind> = { shares: readonly (keyof (typeof comparisons)[K])[]; habits?: Partial<Record<keyof (typeof comparisons)[K], Partial<Record<Level, number>>>> }
/** Neighbours are not looked for among candidates, as the others are: how many there are, pairs drawn at random tell. */
export const locality = ['district', 'city', 'province', 'postcode'] as const
const address = [...locality, 'street', 'street-number'] as const
export const rivals = {
  individual: {
    neighbours: { shares: locality },
    household: { shares: [...address, 'building', 'phone'], habits: { mobile: { same: 0.02 } } },
    family: { shares: [...address, 'building', 'phone', 'surname'], habits: { given: { part: 0.2 }, mobile: { same: 0.02 } } },
  },
  organisation: {
    neighbours: { shares: [...locality, 'region'] },
    'one-building': { shares: [...address, 'region', 'phone'] },
    // Of one name and trade in another place; of one name in one place and another trade.
    group: { shares: ['core', 'trade', 'email'], habits: { mobile: { same: 0.1 } } },
    'group-in-one-building': { shares: [...address, 'core', 'email', 'region', 'phone'], habits: { mobile: { same: 0.2 } } },
  },
} as const satisfies { [K in Kind]: Record<string, RivalOf<K>> }
export type Rival = keyof (typeof rivals)['individual'] | keyof (typeof rivals)['organisation']

/** What makes two records two customers, whatever else agrees. */
export const vetoes = ['kinds-differ', 'uscc-differs', 'resident-id-differs', 'branch-differs'] as const
export type Veto = (typeof vetoes)[number]
