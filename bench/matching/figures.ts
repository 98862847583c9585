/** Pairwise precision, recall and F1 over the groups the accepted pairs make, against whose each record is. */
export type Figures = { precision: number; recall: number; f1: number; found: number; right: number; truth: number }

export const figuresOf = (entities: readonly string[], accepted: Iterable<readonly [number, number]>): Figures => {
  const groups = Map.groupBy(entities.keys(), leaders(entities.length, accepted))
  const found = pairsWithin(groups.values().map((group) => group.length))
  const right = [...groups.values()].reduce((sum, group) => sum + pairsWithin(Map.groupBy(group, (index) => entities[index]).values().map((same) => same.length)), 0)
  const truth = pairsWithin(Map.groupBy(entities, (entity) => entity).values().map((same) => same.length))
  const precision = found === 0 ? 1 : right / found
  const recall = truth === 0 ? 1 : right / truth
  return { precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall), found, right, truth }
}

const pairsWithin = (sizes: Iterable<number>): number => {
  let pairs = 0
  for (const size of sizes) pairs += (size * (size - 1)) / 2
  return pairs
}

/** For each record the leader of its group: who is connected by accepted pairs, however far, is one group. */
const leaders = (count: number, accepted: Iterable<readonly [number, number]>): ((index: number) => number) => {
  const parent = Array.from({ length: count }, (_, index) => index)
  const leader = (index: number): number => {
    let at = index
    for (let above = parent[at] ?? at; above !== at; above = parent[at] ?? at) {
      parent[at] = parent[above] ?? above
      at = above
    }
    return at
  }
  for (const [one, other] of accepted) parent[leader(one)] = leader(other)
  return leader
}
