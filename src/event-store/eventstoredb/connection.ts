import { readFileSync } from 'node:fs'
import { convertToCommandError, EventStoreDBClient, NotLeaderError, UnavailableError } from '@eventstore/db-client'
import { parseConnectionString } from '@eventstore/db-client/dist/Client/parseConnectionString.js'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import { status, type CallOptions, type Metadata } from '@grpc/grpc-js'
import { EventStoreUnavailable } from '../port.ts'
import { within } from '../waiting.ts'
import { renamed } from './connection-string.ts'

/** A call on the channel in use: the stub, and the metadata and options every call takes. */
export type Call = { client: StreamsClient; metadata: Metadata; options: CallOptions }

/** Longest time to find a server and a channel to it, in ms. */
const CONNECT_MS = 5000

/**
 * The client, used for what it does well: discovery, TLS, credentials, channels. Calls are made on its stub, because
 * its own appends share one map in the whole process, where an error of one ends the others' (and the process), and
 * none of its calls keeps its deadline.
 */
class StreamsConnection extends EventStoreDBClient {
  open = async (): Promise<Call> => {
    const client = await this.execute(StreamsClient, 'streams', (stub) => Promise.resolve(stub))
    const [metadata, options] = this.callArguments({ requiresLeader: true }, { deadline: Infinity })
    return { client, metadata, options }
  }
  /** A channel whose server has gone, or is not the leader, is replaced by the next `open`. */
  replace = (client: StreamsClient, error: Error): Promise<void> => this.handleError(client, error)
}

export type Connection = {
  /** @throws EventStoreUnavailable when no server is found in time */
  open: () => Promise<Call>
  /** Tells that a call failed with this; what a caller need not wait for. */
  failed: (call: Call, error: unknown) => Promise<void>
  close: () => void
}

const read = (file: string | undefined): Buffer | undefined => (file === undefined ? undefined : readFileSync(file))

/** A client for a connection string (`esdb://…`, `esdb+discover://…`, `kurrentdb://…`). Its message names no part of it: it may hold a password. */
const makeClient = (url: string): StreamsConnection => {
  const { hosts, dnsDiscover, defaultCredentials, tls, tlsCAFile, userCertFile, userKeyFile, ...options } = parseConnectionString(renamed(url))
  const [first] = hosts
  if (!first) throw new TypeError('EVENTSTORE_URL names no host')
  const certificates = { rootCertificate: read(tlsCAFile), userCertFile: read(userCertFile), userKeyFile: read(userKeyFile) }
  const credentials = {
    insecure: tls === false,
    ...(certificates.rootCertificate && { rootCertificate: certificates.rootCertificate }),
    ...(certificates.userCertFile && { userCertFile: certificates.userCertFile }),
    ...(certificates.userKeyFile && { userKeyFile: certificates.userKeyFile }),
  }
  if (dnsDiscover) return new StreamsConnection({ ...options, discover: first }, credentials, defaultCredentials)
  if (hosts.length > 1) return new StreamsConnection({ ...options, endpoints: hosts }, credentials, defaultCredentials)
  return new StreamsConnection({ ...options, endpoint: first }, credentials, defaultCredentials)
}

export const makeConnection = (url: string): Connection => {
  const client = makeClient(url)
  let latest: StreamsClient | undefined
  const open = async (): Promise<Call> => {
    try {
      const call = await within(CONNECT_MS, () => new EventStoreUnavailable('no EventStoreDB server was found in time'), client.open())
      latest = call.client
      return call
    } catch (error) {
      throw error instanceof EventStoreUnavailable ? error : new EventStoreUnavailable('no EventStoreDB server was found', { cause: error })
    }
  }
  return {
    open,
    failed: async (call, error) => {
      if (error instanceof Error) await client.replace(call.client, error).catch(() => undefined)
    },
    close: () => latest?.close(),
  }
}

const passing = new Set<number>([status.UNAVAILABLE, status.INTERNAL, status.ABORTED, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED, status.CANCELLED])

const codeOf = (error: Error): unknown => ('code' in error ? error.code : undefined)

/** The server went away, is not ready, or is not the leader: what was sent may or may not have happened, and asking again may succeed. */
export const isPassing = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  const known = convertToCommandError(error)
  // The second has no code where it was made here, of a silence.
  if (known instanceof NotLeaderError || known instanceof UnavailableError) return true
  const code = codeOf(error)
  return (typeof code === 'number' && passing.has(code)) || (typeof code === 'string' && /^E[A-Z]+$/.test(code)) || /Server Is (Not Ready|Busy)/i.test(error.message)
}

/** No answer came in the time one may take. Named so that the client replaces the channel. */
export const noAnswer = (ms: number): UnavailableError => new UnavailableError(undefined, `no answer within ${ms} ms`)

/** The server does not know this user, or does not let it: asking again changes nothing. */
export const isRefused = (error: unknown): boolean => {
  const code = error instanceof Error ? codeOf(error) : undefined
  return code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED
}

/** Any failure of a call, as the rest of Kehu knows it. */
export const unavailable = (error: unknown): EventStoreUnavailable =>
  error instanceof EventStoreUnavailable ? error : new EventStoreUnavailable(`the log is out of reach: ${error instanceof Error ? error.message : 'unknown error'}`, { cause: error })
