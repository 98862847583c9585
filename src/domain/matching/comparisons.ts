/**
 * What is compared, and at which levels two values may agree: the best first, `different` last. A value that one of
 * the two lacks is no evidence. The names stand in policies and in cases: add, never change.
 */
const name = ['same', 'sound', 'close', 'part', 'similar', 'different'] as const
const text = ['same', 'close', 'similar', 'different'] as const
const code = ['same', 'close', 'different'] as const
const word = ['same', 'different'] as const

const contact = { phone: code, email: ['same', 'close', 'local', 'different'], number: code } as const
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
  organisation: { core: name, region: word, trade: word, 'legal-form': word, ...contact, ...place },
} as const satisfies Record<string, Record<string, readonly string[]>>

export type Kind = keyof typeof comparisons
export type ComparisonName = keyof (typeof comparisons)['individual'] | keyof (typeof comparisons)['organisation']
export type Level = (typeof name | typeof contact.email | (typeof comparisons)['individual']['birth-date'] | (typeof comparisons)['individual']['name-order'])[number]

/** Comparisons whose values are more or less common, so that agreeing on a rare one says more. */
export const withTerms: ReadonlySet<ComparisonName> = new Set(['given', 'surname', 'core', 'birth-date', 'phone', 'email', 'street', 'street-number', 'building', 'district', 'city', 'province', 'postcode', 'region', 'trade', 'legal-form'])

/**
 * What else two records that agree may be: not one customer, but two that share something. Each shares these
 * comparisons as two records of one customer do, and the others as strangers do.
 */
const locality = ['district', 'city', 'province', 'postcode'] as const
const door = [...locality, 'street', 'street-number', 'building'] as const
export const rivals = {
  individual: {
    neighbours: locality,
    household: [...door, 'phone'],
    family: [...door, 'phone', 'surname'],
  },
  organisation: {
    neighbours: [...locality, 'region'],
    'one-building': [...door, 'region', 'phone'],
    group: ['core', 'email'],
    'group-in-one-building': ['core', 'email', ...door, 'region', 'phone'],
  },
} as const satisfies { [K in Kind]: Record<string, readonly (keyof (typeof comparisons)[K])[]> }
export type Rival = keyof (typeof rivals)['individual'] | keyof (typeof rivals)['organisation']

/** What makes two records two customers, whatever else agrees. */
export const vetoes = ['kinds-differ', 'uscc-differs', 'resident-id-differs', 'branch-differs'] as const
export type Veto = (typeof vetoes)[number]
