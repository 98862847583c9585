/**
 * What lies between the services and the sockets: service definitions whose answers are bytes already, and a
 * window on what has been sent and not yet left. Without it @grpc/grpc-js sends one message at a time and waits for
 * each to leave; with it, as with Kestrel, a call may have 64 KiB under way before its writer has to wait
 * (Http2/Limits: MaxResponseBufferSize, 64 KiB).
 */
import { ServerInterceptingCall, type MethodDefinition, type ServerInterceptingCallInterface } from '@grpc/grpc-js'

const WINDOW = 64 * 1024

/** A method whose handler answers with the serialised message. */
export const withBytes = <Request, Response>(method: MethodDefinition<Request, Response>): MethodDefinition<Request, Uint8Array> => ({
  path: method.path,
  requestStream: method.requestStream,
  responseStream: method.responseStream,
  requestSerialize: method.requestSerialize,
  requestDeserialize: method.requestDeserialize,
  responseSerialize: (bytes) => (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  responseDeserialize: (bytes) => bytes,
})

/** Lets a call write on until the window is full. */
export const windowed = (_method: unknown, call: ServerInterceptingCallInterface): ServerInterceptingCall => {
  let underWay = 0
  let waiting: (() => void) | undefined
  return new ServerInterceptingCall({
    start: (listener) => call.start(listener),
    startRead: () => call.startRead(),
    sendMetadata: (metadata) => call.sendMetadata(metadata),
    sendStatus: (sent) => call.sendStatus(sent),
    getPeer: () => call.getPeer(),
    getDeadline: () => call.getDeadline(),
    getHost: () => call.getHost(),
    getAuthContext: () => call.getAuthContext(),
    getConnectionInfo: () => call.getConnectionInfo(),
    getMetricsRecorder: () => call.getMetricsRecorder(),
    sendMessage: (message: unknown, sent: () => void) => {
      const size = message instanceof Uint8Array ? message.length : 0
      underWay += size
      call.sendMessage(message, () => {
        underWay -= size
        if (underWay >= WINDOW) return
        const next = waiting
        waiting = undefined
        next?.()
      })
      if (underWay < WINDOW) sent()
      else waiting = sent
    },
  })
}
