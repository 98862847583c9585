import pg from 'pg'

/**
 * Hears what any process notifies on a channel, and connects again by itself. `onConnected` is called whenever it
 * begins to hear: of what was said before, nothing is known.
 */
export const listen = (connectionString: string, channel: string, hear: (payload: string) => void, onConnected: () => void = () => undefined): { close: () => Promise<void> } => {
  let closed = false
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  const connect = async (): Promise<void> => {
    if (closed) return
    const fresh = new pg.Client({ connectionString, application_name: `kehu listen ${channel}`, keepAlive: true, connectionTimeoutMillis: 5000 })
    const again = () => {
      if (client === fresh) client = undefined
      if (!closed) timer = setTimeout(() => void connect(), 500)
    }
    fresh.on('error', () => void fresh.end().catch(() => undefined))
    fresh.on('notification', (message) => hear(message.payload ?? ''))
    try {
      await fresh.connect()
      await fresh.query(`listen ${channel}`)
      // Closing may have come while it connected.
      if (closed) return void (await fresh.end())
      client = fresh
      fresh.on('end', again)
      onConnected()
    } catch {
      await fresh.end().catch(() => undefined)
      again()
    }
  }
  const connecting = connect()
  return {
    close: async () => {
      closed = true
      clearTimeout(timer)
      await connecting
      await client?.end().catch(() => undefined)
    },
  }
}
