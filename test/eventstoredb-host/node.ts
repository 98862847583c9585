/** What every service of one host shares. */
import type { Metadata } from '@grpc/grpc-js'
import type { FaultState } from './faults.ts'
import type { HostLog } from './log.ts'
import { accessDenied, notLeader, notReady, unauthenticated, type Refusal } from './refusals.ts'

export type Credentials = { username: string; password: string }

export type Node = {
  log: HostLog
  faults: FaultState
  /** The connection of this peer dies. */
  drop: (peer: string) => void
  /** How long an append that gets no answer is waited for: the server's WriteTimeoutMs, 3 s unless told. */
  writeTimeoutMs: number
  maxAppendBytes: number
  subscriptionBuffer: number
  readBatch: number
  credentials: Credentials | undefined
  /** A server that is gone does nothing more. */
  stopped: boolean
}

/** What a call is made with, as far as the server looks at it. */
export type Caller = { metadata: Metadata; getPeer: () => string }

const header = (caller: Caller, name: string): string | undefined => caller.metadata.get(name)[0]?.toString()

/**
 * Wrong credentials are refused by the server's authentication, none by its authorisation: 23.10 lets nobody read or
 * write streams anonymously unless told to (EventStore/EventStore pull request 3905, AllowAnonymousStreamAccess).
 */
export const unauthorised = (node: Node, caller: Caller): Refusal | undefined => {
  if (!node.credentials) return undefined
  const given = header(caller, 'authorization')
  if (given === undefined) return accessDenied()
  const { username, password } = node.credentials
  return given === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` ? undefined : unauthenticated()
}

/**
 * Why this node does not handle the call now. Only what is sent with `requires-leader` needs the leader: a follower
 * forwards any other write and answers any other read (RequestForwardingService.cs, ServiceBase.GetRequiresLeader).
 */
export const notHandled = (node: Node, caller: Caller): Refusal | undefined => {
  if (node.faults.notReady) return notReady()
  if (node.faults.leader && header(caller, 'requires-leader')?.toLowerCase() === 'true') return notLeader(node.faults.leader)
  return undefined
}
