import { readFile, rename } from 'node:fs/promises'
import { appendToRootLog, keyAdded, loadRootLog } from '../../commands/root-log.ts'
import { makeRootSigner } from '../../commands/processes/roots.ts'
import type { Config } from '../../config.ts'
import type { RootKey } from '../../event-store/signed-root.ts'
import type { Core } from '../../main.ts'
import { makeSigningKey, readRootKey, secretFiles, writeOnce } from '../../secrets.ts'
import { withCore } from '../core.ts'

/** Signs a root of the log as it is now, without waiting for the time. */
export const auditSign = (config: Config): Promise<void> =>
  withCore(config, async ({ roots }) => {
    const signed = await makeRootSigner(roots).signNow()
    console.log(signed ? `Signed at ${signed.signedAt} over ${signed.size} events: ${signed.root}` : 'Nothing has come since the last root.')
    console.log(`Key ${roots.rootKey.key}, file ${roots.rootsFile}`)
  })

/**
 * A new key for the roots, endorsed by the one before. Safe to interrupt: the new key lies beside the old one until
 * the log lists it, and running it again goes on. A running service is to be restarted.
 */
export const auditRotateKey = (config: Config): Promise<void> =>
  withCore(config, async (core) => {
    const { before, after, finish } = await keysOf(config, core.secrets.rootKey)
    await addKey(core, before, after)
    await finish()
    console.log(`The roots’ key is now ${after.key}, endorsed by ${before.key}. Give auditors the new fingerprint, and restart every running Kehu.`)
  })

const keysOf = async (config: Config, current: RootKey): Promise<{ before: RootKey; after: RootKey; finish: () => Promise<void> }> => {
  if (config.rootKey !== undefined) {
    if (config.oldRootKey === undefined) throw new Error('The key of the roots comes from the environment: set KEHU_ROOT_KEY to the new key and KEHU_OLD_ROOT_KEY to the one before, then run this again')
    return { before: readRootKey(config.oldRootKey), after: current, finish: async () => undefined }
  }
  const { root } = secretFiles(config.dataDir)
  const fresh = `${root}.new`
  // One that is there was left by a rotation that was interrupted, which is gone on with.
  await writeOnce(fresh, makeSigningKey())
  return { before: current, after: readRootKey(await readFile(fresh, 'utf8')), finish: () => rename(fresh, root) }
}

const addKey = async ({ runtime }: Pick<Core, 'runtime'>, before: RootKey, after: RootKey): Promise<void> => {
  const logId = runtime.organisation.current().log?.logId ?? ''
  await appendToRootLog(runtime, await loadRootLog(runtime), (keys) => [
    ...(keys.has(before.key) ? [] : [{ type: 'RootKeyAdded' as const, data: keyAdded(logId, before) }]),
    ...(keys.has(after.key) ? [] : [{ type: 'RootKeyAdded' as const, data: keyAdded(logId, after, before) }]),
  ])
}
