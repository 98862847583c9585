import { Socket } from 'node:net'
import pg from 'pg'
import { EventStoreUnavailable } from '../port.ts'

export const isConnectionError = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // 08 connection exceptions, 57P admin or crash shutdown, 53300 too many connections; Node's own socket errors;
  // what pg and Kysely say of a connection that went away. 25006 and 53100: read-only and full disk, which pass too;
  // 25P03: a process that stood still in the midst of a transaction.
  return /^(08|57P|53)/.test(code) || code === '25006' || code === '25P03' || /^E[A-Z]+$/.test(code) || /Connection terminated|Client has encountered a connection error|timeout expired|timeout exceeded|Query read timeout|Client was closed|not queryable|connection has been discarded/i.test(error.message)
}

/** What is asked of Postgres; that it is out of reach is told in the port's words. */
export const reaching = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    throw isConnectionError(error) ? new EventStoreUnavailable('the log is out of reach', { cause: error }) : error
  }
}

/**
 * A socket that sends what is written to it in one turn in one piece: statements that go off together then cost one
 * call to the system. That call takes longer than all else there is to do for a short statement.
 */
const gatheringSocket = (): Socket => {
  const socket = new Socket()
  let gathers = false
  // Not before: `connect` gives a socket back the `write` it was made with.
  socket.once('connect', () => {
    const write = socket.write.bind(socket)
    socket.write = (chunk: Uint8Array | string, more?: BufferEncoding | ((error?: Error | null) => void), done?: (error?: Error | null) => void): boolean => {
      if (!gathers) {
        gathers = true
        socket.cork()
        process.nextTick(() => {
          gathers = false
          socket.uncork()
        })
      }
      return typeof more === 'function' ? write(chunk, more) : write(chunk, more, done)
    }
  })
  return socket
}

/** How a connection is made: given up in time; one that nothing has come over for a while asks whether the other end is there. */
export const connecting = (waitMs = 5000) => ({ connectionTimeoutMillis: Math.min(5000, waitMs), keepAlive: true, keepAliveInitialDelayMillis: 5000, stream: gatheringSocket })

/**
 * How a connection plans what finds rows by their keys, as all that has to do with the log does: once. Planned anew each
 * time, as Postgres would for arrays of other lengths, a short statement takes twice as long; and a plan made while the
 * log is empty must not read all of a long one.
 */
export const BY_KEY = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off'

/** One connection that is made again when it is lost. Who finds it broken drops it: that one, not the next. */
export const makeReconnecting = (connectionString: string, name: string, more: pg.ClientConfig = {}) => {
  let current: Promise<pg.Client> | undefined

  const connect = async (forget: () => void): Promise<pg.Client> => {
    const fresh = new pg.Client({ connectionString, application_name: name, ...connecting(), ...more })
    fresh.on('error', forget)
    fresh.on('end', forget)
    try {
      await fresh.connect()
    } catch (error) {
      forget()
      await fresh.end().catch(() => undefined)
      throw error
    }
    return fresh
  }
  const get = (): Promise<pg.Client> => {
    if (current) return current
    const fresh: Promise<pg.Client> = connect(() => {
      if (current === fresh) current = undefined
    })
    current = fresh
    return fresh
  }
  const drop = async (broken?: pg.Client): Promise<void> => {
    const gone = current
    const client = await gone?.catch(() => undefined)
    if (broken !== undefined && client !== broken) return
    if (current === gone) current = undefined
    await client?.end().catch(() => undefined)
  }
  return { get, drop }
}
