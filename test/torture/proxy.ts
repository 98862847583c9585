import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Stands between everybody and Postgres, and does what networks do. */
export type Proxy = {
  port: number
  /** Resets every connection. */
  reset: () => void
  /** After so many more things Postgres says, the next ones reach nobody: their connections are reset instead. */
  loseAnswers: (count: number, after?: number) => void
  /** Notifications reach nobody, while everything else does. */
  deafen: (deaf: boolean) => void
  /** Nothing goes either way, and nobody hears that it does not. */
  freeze: (frozen: boolean) => void
  /** How often it has been frozen or thawed. */
  freezes: () => number
  close: () => Promise<void>
}

/** A message of Postgres is a letter, its length in four bytes, and the rest. */
const NOTIFICATION = 'A'.charCodeAt(0)

/** Takes what Postgres says apart into whole messages. */
const splitMessages = () => {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes: Buffer): Buffer[] => {
    rest = Buffer.concat([rest, bytes])
    const messages: Buffer[] = []
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const end = 1 + rest.readInt32BE(1)
      messages.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    return messages
  }
}

export const startProxy = async (postgresPort: number): Promise<Proxy> => {
  const links = new Set<{ sockets: readonly [Socket, Socket]; cut: () => void }>()
  let losing = 0
  let sparing = 0
  let deaf = false
  let frozen = false
  let freezes = 0

  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: postgresPort })
    const link = {
      sockets: [client, upstream] as const,
      cut: () => {
        links.delete(link)
        client.resetAndDestroy()
        upstream.resetAndDestroy()
      },
    }
    links.add(link)
    const split = splitMessages()
    client.pipe(upstream)
    upstream.on('data', (bytes) => {
      if (sparing > 0) sparing -= 1
      else if (losing > 0) {
        losing -= 1
        return link.cut()
      }
      const told = split(bytes).filter((message) => !(deaf && message[0] === NOTIFICATION))
      if (told.length > 0) client.write(Buffer.concat(told))
    })
    for (const socket of link.sockets) {
      socket.setNoDelay()
      socket.on('error', link.cut)
      socket.on('close', link.cut)
      if (frozen) socket.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')

  return {
    port: address.port,
    reset: () => {
      for (const { cut } of links) cut()
    },
    loseAnswers: (count, after = 0) => {
      losing = count
      sparing = after
    },
    deafen: (on) => {
      deaf = on
    },
    freeze: (on) => {
      frozen = on
      freezes += 1
      for (const socket of [...links].flatMap(({ sockets }) => sockets)) {
        if (on) socket.pause()
        else socket.resume()
      }
    },
    freezes: () => freezes,
    close: async () => {
      server.close()
      for (const { cut } of links) cut()
      await once(server, 'close')
    },
  }
}
