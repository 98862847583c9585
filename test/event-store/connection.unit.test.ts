import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connecting } from '../../src/event-store/postgres/connection.ts'

describe('the socket of a connection', () => {
  let server: Server
  const received: Buffer[] = []
  beforeAll(async () => {
    server = createServer((socket) => socket.on('data', (bytes) => received.push(bytes))).listen(0)
    await once(server, 'listening')
  })
  afterAll(() => server.close())

  it('sends in one piece what is written to it in one turn, in whatever parts, and the next turn again', async () => {
    const socket = connecting().stream()
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    socket.connect(address.port)
    await once(socket, 'connect')
    for (const turn of ['first', 'second']) {
      for (const part of [' bind', ' execute', ' sync']) {
        // As the driver writes a statement.
        socket.cork()
        socket.write(turn)
        socket.write(part)
        socket.uncork()
        await Promise.resolve()
      }
      expect(socket.writableLength).toBe(`${turn} bind${turn} execute${turn} sync`.length)
      await new Promise(setImmediate)
      expect(socket.writableCorked).toBe(0)
    }
    socket.end()
    await once(socket, 'close')
    expect(Buffer.concat(received).toString()).toBe('first bindfirst executefirst syncsecond bindsecond executesecond sync')
  })
})
