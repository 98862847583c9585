/** The connections of the host, kept apart from gRPC so that they can be cut, or stand still as those of a hung server do. */
import { createServer, type AddressInfo, type Socket } from 'node:net'

export type Doorway = {
  port: number
  count: () => number
  /** The connection of a peer, named as gRPC names it, dies. */
  drop: (peer: string) => void
  dropAll: () => void
  freeze: () => void
  thaw: () => void
  close: () => Promise<void>
}

/** How often a frozen socket is told to stop again: a write that ends makes the HTTP/2 session read on. */
const STILL_MS = 5

/**
 * Reading is stopped or started below the HTTP/2 session, which has taken the socket's handle over: nothing public of a
 * socket reaches there any more. Without this a frozen server would go on to answer pings.
 */
const tellHandle = (socket: Socket, method: 'readStop' | 'readStart'): void => {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return
  const act: unknown = Reflect.get(handle, method)
  if (typeof act === 'function') Reflect.apply(act, handle, [])
}

/** Listens, and hands each connection on, once the server is not frozen. */
export const openDoor = async (port: number, accept: (socket: Socket) => void): Promise<Doorway> => {
  const sockets = new Set<Socket>()
  const kept: Socket[] = []
  let frozen: NodeJS.Timeout | undefined
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    if (frozen) kept.push(socket)
    else accept(socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const isAddress = (value: AddressInfo | string | null): value is AddressInfo => typeof value === 'object' && value !== null
  const address = server.address()
  const cut = (socket: Socket): void => {
    sockets.delete(socket)
    socket.destroy()
  }
  const dropAll = (): void => {
    for (const socket of [...sockets]) cut(socket)
  }
  const thaw = (): void => {
    if (!frozen) return
    clearInterval(frozen)
    frozen = undefined
    for (const socket of sockets) if (!kept.includes(socket)) tellHandle(socket, 'readStart')
    for (const socket of kept.splice(0)) if (!socket.destroyed) accept(socket)
  }
  const still = (): void => {
    for (const socket of sockets) if (!kept.includes(socket)) tellHandle(socket, 'readStop')
  }
  return {
    port: isAddress(address) ? address.port : port,
    count: () => sockets.size,
    drop: (peer) => {
      for (const socket of [...sockets]) if (peer === `${socket.remoteAddress}:${socket.remotePort}`) cut(socket)
    },
    dropAll,
    freeze: () => {
      frozen ??= setInterval(still, STILL_MS)
      still()
    },
    thaw,
    close: async () => {
      clearInterval(frozen)
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      dropAll()
      await closed
    },
  }
}
