import { randomBytes } from 'node:crypto'
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { secretFiles } from '../secrets.ts'
import { withCore } from './core.ts'
import { progressBar } from './progress.ts'

/**
 * Draws a new master key and wraps every subject's key anew. Safe to interrupt: the old key is kept beside the new
 * one until nothing is wrapped by it any more, and running it again goes on. A running service is to be restarted.
 */
export const keysRotate = async (config: Config): Promise<void> => {
  const files = secretFiles(config.dataDir)
  if (config.masterKey === undefined) {
    const interrupted = await readFile(files.oldMasters, 'utf8').then((text) => text.trim() !== '', () => false)
    if (!interrupted) {
      await appendFile(files.oldMasters, `${(await readFile(files.master, 'utf8')).trim()}\n`, { mode: 0o600, flush: true })
      await writeFile(`${files.master}.new`, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true })
      await rename(`${files.master}.new`, files.master)
    }
  } else if (config.oldMasterKeys.length === 0) {
    throw new Error('The master key comes from the environment: set KEHU_MASTER_KEY to the new key and KEHU_OLD_MASTER_KEYS to the one before, then run this again')
  }
  await withCore(config, async ({ keyring }) => {
    const bar = progressBar('keys')
    const done = await keyring.rotate((now, total) => bar.update(BigInt(now), BigInt(total))).finally(bar.stop)
    if (config.masterKey === undefined) await rm(files.oldMasters, { force: true })
    console.log(`${done} key(s) were wrapped anew. Restart every running Kehu${config.masterKey === undefined ? '' : ', and drop KEHU_OLD_MASTER_KEYS'}.`)
  })
}
