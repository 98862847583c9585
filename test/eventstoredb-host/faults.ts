/** What can go wrong with a server, at will: each fault is one thing that a client meets in production. */
import type { Endpoint } from './refusals.ts'

export type Faults = {
  /** Every connection dies at once, as when a node is killed; the next one is accepted. */
  dropConnections: () => void
  /** Sockets are neither read nor written, and new connections hang: no ping is answered. */
  freeze: () => void
  /** Everything goes on where `freeze` stopped it. */
  thaw: () => void
  /** Appends are done, their answers come so much later; 0 ends it. */
  answerLate: (ms: number) => void
  /** The next `count` appends are done, then their connection dies before the answer. */
  loseAnswers: (count: number) => void
  /** The answers of the next `count` appends of a batch call come twice. No server is known to do that; nobody may mind. */
  doubleAnswers: (count: number) => void
  /** The connection of the next `count` appends dies before anything is done. */
  refuseBefore: (count: number) => void
  /** The connection of the next append dies at once, and the append is carried out so much later, after its caller has gone. */
  answerAfterGone: (ms: number) => void
  /** Appends and reads are answered with "Server Is Not Ready", as from a node that is starting. */
  notReady: (on: boolean) => void
  /** Every live subscription is dropped as too slow. */
  slowConsumers: () => void
  /** This node follows: what requires the leader is answered with NotLeader and this endpoint. Null ends it. */
  notLeader: (leader: Endpoint | null) => void
  /** How long an append is in flight before it is done; 0 ends it. */
  delayAppends: (ms: number) => void
}

/** What the faults have set, for those who act on it. */
export type FaultState = {
  frozen: boolean
  lateMs: number
  losing: number
  doubling: number
  refusing: number
  goneMs: number | undefined
  notReady: boolean
  leader: Endpoint | null
  delayMs: number
  /** Live subscriptions: how to drop each. */
  live: Set<() => void>
  /** What waits for a thaw. */
  onThaw: Set<() => void>
}

export const faultState = (delayMs = 0): FaultState => ({
  frozen: false, lateMs: 0, losing: 0, doubling: 0, refusing: 0, goneMs: undefined, notReady: false, leader: null, delayMs, live: new Set(), onThaw: new Set(),
})

export type Sockets = { drop: () => void; freeze: () => void; thaw: () => void }

export const faultsOf = (state: FaultState, sockets: Sockets): Faults => ({
  dropConnections: sockets.drop,
  freeze: () => {
    state.frozen = true
    sockets.freeze()
  },
  thaw: () => {
    state.frozen = false
    sockets.thaw()
    const waiting = [...state.onThaw]
    state.onThaw.clear()
    for (const resume of waiting) resume()
  },
  answerLate: (ms) => {
    state.lateMs = ms
  },
  loseAnswers: (count) => {
    state.losing = count
  },
  doubleAnswers: (count) => {
    state.doubling = count
  },
  refuseBefore: (count) => {
    state.refusing = count
  },
  answerAfterGone: (ms) => {
    state.goneMs = ms
  },
  notReady: (on) => {
    state.notReady = on
  },
  slowConsumers: () => {
    for (const drop of [...state.live]) drop()
  },
  notLeader: (leader) => {
    state.leader = leader
  },
  delayAppends: (ms) => {
    state.delayMs = ms
  },
})

/** Does it now, or once the server is no longer frozen. */
export const unlessFrozen = (state: FaultState, act: () => void): void => {
  if (state.frozen) state.onThaw.add(act)
  else act()
}
