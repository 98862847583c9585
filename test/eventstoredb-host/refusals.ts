/**
 * How the server says no. Codes, texts and metadata are those of EventStore/EventStore,
 * src/EventStore.Core/Services/Transport/Grpc/RpcExceptions.cs and Constants.cs (Exceptions).
 */
import { Metadata, status } from '@grpc/grpc-js'

export type Refusal = { code: status; details: string; metadata: Metadata }
export type Endpoint = { host: string; port: number }

const refusal = (code: status, details: string, entries: Record<string, string> = {}): Refusal => {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value)
  return { code, details, metadata }
}

export const notReady = (): Refusal => refusal(status.UNAVAILABLE, 'Server Is Not Ready')

export const notLeader = (leader: Endpoint): Refusal =>
  refusal(status.NOT_FOUND, 'Leader info available', { exception: 'not-leader', 'leader-endpoint-host': leader.host, 'leader-endpoint-port': String(leader.port) })

export const timedOut = (message: string): Refusal => refusal(status.ABORTED, `Operation timed out: ${message}`)

export const accessDenied = (): Refusal => refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' })

/** Wrong credentials never reach a service: AuthenticationMiddleware.cs ends the request with 401, which gRPC reads so. */
export const unauthenticated = (): Refusal => refusal(status.UNAUTHENTICATED, 'Unauthenticated')

export const streamDeleted = (stream: string): Refusal =>
  refusal(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, { exception: 'stream-deleted', 'stream-name': stream })

export const wrongExpectedVersion = (operation: string, stream: string, expected: string, current: number): Refusal =>
  refusal(status.FAILED_PRECONDITION, `${operation} failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${expected}, Actual version: ${current}`, {
    exception: 'wrong-expected-version', 'stream-name': stream, 'expected-version': expected, 'actual-version': String(current),
  })

export const maxAppendSizeExceeded = (bytes: number): Refusal =>
  refusal(status.INVALID_ARGUMENT, `Maximum Append Size of ${bytes} Exceeded.`, { exception: 'maximum-append-size-exceeded', 'maximum-append-size': String(bytes) })

export const requiredMetadataMissing = (property: string): Refusal =>
  refusal(status.INVALID_ARGUMENT, `Required Metadata Property '${property}' is missing`, { exception: 'missing-required-metadata-property', 'required-metadata-properties': 'type,content-type' })

export const invalidArgument = (details: string): Refusal => refusal(status.INVALID_ARGUMENT, details)

/** An exception that nothing on the server turns into an answer. */
export const unhandled = (details: string): Refusal => refusal(status.UNKNOWN, details)
