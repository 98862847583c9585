/** Gossip.Read, by which a client finds the members of a cluster, and ServerFeatures.GetSupportedMethods. */
import { randomUUID } from 'node:crypto'
import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import features from '@eventstore/db-client/generated/serverfeatures_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'

export type Member = { host: string; port: number; state: 'leader' | 'follower' | 'readOnlyReplica' | 'resigningLeader' | 'unknown'; alive?: boolean }

const VERSION = '23.10.6'

const STATES = {
  leader: gossip.MemberInfo.VNodeState.LEADER,
  follower: gossip.MemberInfo.VNodeState.FOLLOWER,
  readOnlyReplica: gossip.MemberInfo.VNodeState.READONLYREPLICA,
  resigningLeader: gossip.MemberInfo.VNodeState.RESIGNINGLEADER,
  unknown: gossip.MemberInfo.VNodeState.UNKNOWN,
} as const

const TICKS_PER_MILLISECOND = 10_000

export const clusterInfo = (members: readonly Member[]): InstanceType<typeof gossip.ClusterInfo> => {
  const info = new gossip.ClusterInfo()
  info.setMembersList(members.map((one) => {
    const endpoint = new gossip.EndPoint()
    endpoint.setAddress(one.host)
    endpoint.setPort(one.port)
    const id = new shared.UUID()
    id.setString(randomUUID())
    const member = new gossip.MemberInfo()
    member.setInstanceId(id)
    member.setTimeStamp(String(Date.now() * TICKS_PER_MILLISECOND))
    member.setState(STATES[one.state])
    member.setIsAlive(one.alive ?? true)
    member.setHttpEndPoint(endpoint)
    return member
  }))
  return info
}

/** What 23.10 says it can do: the methods this host serves. Names are lower case, as the server sends them (ServerFeatures.cs). */
export const supportedMethods = (): InstanceType<typeof features.SupportedMethods> => {
  const method = (service: string, name: string, ...known: string[]) => {
    const supported = new features.SupportedMethod()
    supported.setServiceName(service)
    supported.setMethodName(name)
    supported.setFeaturesList(known)
    return supported
  }
  const supported = new features.SupportedMethods()
  supported.setEventStoreServerVersion(VERSION)
  supported.setMethodsList([
    method('event_store.client.streams.streams', 'read', 'position', 'events'),
    method('event_store.client.streams.streams', 'append'),
    method('event_store.client.streams.streams', 'batchappend', 'deadline_duration'),
    method('event_store.client.streams.streams', 'delete'),
    method('event_store.client.streams.streams', 'tombstone'),
    method('event_store.client.gossip.gossip', 'read'),
    method('event_store.client.server_features.serverfeatures', 'getsupportedmethods'),
  ])
  return supported
}
