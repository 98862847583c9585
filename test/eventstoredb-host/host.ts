/**
 * A server that behaves like EventStoreDB 23.10, so that the real client is driven over a real socket in every test run.
 * It is hosted with @grpc/grpc-js from the service definitions that the client's package ships. What it shows was measured
 * against a real 23.10.6 (docs: architecture, "EventStoreDB, measured") or is cited beside the code from the server's source.
 */
import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js'
import { append, remove } from './append.ts'
import { batchAppend } from './batch.ts'
import { faultsOf, faultState, unlessFrozen, type Faults } from './faults.ts'
import { clusterInfo, supportedMethods, type Member } from './gossip.ts'
import { createLog, type HostLog } from './log.ts'
import type { Credentials, Node } from './node.ts'
import { read } from './read.ts'
import { openDoor } from './sockets.ts'
import { windowed, withBytes } from './transport.ts'

export type { Faults } from './faults.ts'
export type { Member } from './gossip.ts'
export { createLog, type HostLog } from './log.ts'

export type HostOptions = {
  /** Any free port unless told. */
  port?: number
  /** Data is kept here and read back at the next start; in memory only, unless told. */
  file?: string
  /** A log that another host has as well: two nodes of one cluster. */
  log?: HostLog
  /** How long an append is in flight before it is done. */
  appendDelayMs?: number
  /** When an append that got no answer errs: the server's write timeout, 3 s. */
  copyTimeoutMs?: number
  /** Most bytes of one append, 1 MiB. */
  maxAppendBytes?: number
  /** Each of the two queues of a live subscription, 32. */
  subscriptionBuffer?: number
  /** Records of a page, and so of a checkpoint interval of one, 32. */
  checkpointWindow?: number
  /** What gossip tells; this host as the leader, unless told. */
  members?: () => Member[]
  tls?: { cert: Buffer; key: Buffer }
  /** Calls that bring others, or none, are refused. */
  credentials?: Credentials
}

export type EventStoreDbHost = {
  /** esdb://127.0.0.1:<port>?tls=false */
  url: string
  port: number
  /** May be handed to a second host: two nodes of one cluster. */
  log: HostLog
  faults: Faults
  connections: () => number
  /** At once, as a server that is killed: every connection dies; the port is free afterwards. */
  stop: () => Promise<void>
}

/** The largest message the server takes: TFConsts.cs, EffectiveMaxLogRecordSize. A larger one ends its call with RESOURCE_EXHAUSTED. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024 - 10_000

/** How many hosts a log has; the last one to stop closes it. */
const hosts = new WeakMap<HostLog, number>()
const count = (log: HostLog, step: 1 | -1): number => {
  const now = (hosts.get(log) ?? 0) + step
  hosts.set(log, now)
  return now
}

export const startHost = async (options: HostOptions = {}): Promise<EventStoreDbHost> => {
  const log = options.log ?? createLog(options.file === undefined ? {} : { file: options.file })
  const state = faultState(options.appendDelayMs)
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': -1,
    interceptors: [windowed],
  })
  const { tls } = options
  const injector = server.createConnectionInjector(tls ? ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]) : ServerCredentials.createInsecure())
  const door = await openDoor(options.port ?? 0, (socket) => injector.injectConnection(socket))
  count(log, 1)
  const node: Node = {
    log,
    faults: state,
    drop: door.drop,
    writeTimeoutMs: options.copyTimeoutMs ?? 3_000,
    maxAppendBytes: options.maxAppendBytes ?? 1024 * 1024,
    subscriptionBuffer: options.subscriptionBuffer ?? 32,
    readBatch: options.checkpointWindow ?? 32,
    credentials: options.credentials,
    stopped: false,
  }
  server.addService(
    {
      read: withBytes(StreamsService.read),
      append: withBytes(StreamsService.append),
      batchAppend: withBytes(StreamsService.batchAppend),
      delete: withBytes(StreamsService.delete),
      tombstone: withBytes(StreamsService.tombstone),
    },
    { read: read(node), append: append(node), batchAppend: batchAppend(node), delete: remove(node, false), tombstone: remove(node, true) },
  )
  const itself = (): Member[] => [{ host: '127.0.0.1', port: door.port, state: 'leader' }]
  const answered = <Answer>(make: () => Answer) => (_call: unknown, callback: sendUnaryData<Answer>): void => unlessFrozen(state, () => callback(null, make()))
  server.addService(GossipService, { read: answered(() => clusterInfo((options.members ?? itself)())) })
  server.addService(ServerFeaturesService, { getSupportedMethods: answered(supportedMethods) })
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    node.stopped = true
    const closed = door.close()
    server.forceShutdown()
    if (count(log, -1) === 0) log.close()
    await closed
  }
  return {
    url: `esdb://127.0.0.1:${door.port}?tls=${tls ? 'true' : 'false'}`,
    port: door.port,
    log,
    faults: faultsOf(state, { drop: door.dropAll, freeze: door.freeze, thaw: door.thaw }),
    connections: door.count,
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}
