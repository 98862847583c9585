import { relative, resolve } from 'node:path'
import type { Config } from '../config.ts'
import { serve } from '../main.ts'
import { secretFiles } from '../secrets.ts'

/** Runs the service in this terminal until Ctrl-C or SIGTERM, and says what to try next. */
export const serveForeground = async (config: Config): Promise<void> => {
  const service = serve(config, (message) => console.log(message))
  let asked = false
  const onSignal = () => {
    if (asked) return
    asked = true
    console.log('\nStopping: finishing what was accepted …')
    // Also while starting: what has been started is stopped in order.
    service.then((started) => started.stop()).then(
      () => process.exit(process.exitCode ?? 0),
      (error: unknown) => {
        console.error(`kehu: did not stop cleanly: ${error instanceof Error ? error.message : String(error)}`)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  console.log(welcome(config, (await service).url))
}

/** As short as it can be pasted: relative below the working folder, else whole. */
const shown = (path: string): string => {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? resolve(path) : short || '.'
}

const welcome = (config: Config, url: string): string => {
  const tokens = shown(secretFiles(config.dataDir).tokens)
  const own = config.publicKey === undefined && config.jwksUrl === undefined
  return `
Kehu 客户 answers at ${url}  ·  API ${url}/docs
${own ? `Tokens, one a role, lie in ${tokens}/ (clerk, manager, system, admin, auditor, analyst)` : 'Tokens come from the issuer configured'}

Enter a customer, find it, and ask who holds it:

  curl -s ${url}/commands/create-customer -H "Authorization: Bearer $(cat ${tokens}/clerk)" -H 'Content-Type: application/json' \\
    -d '{"category":"individual-retail","name":"王小明","identifiers":[{"kind":"mobile","value":"+86 138 0013 8000"}],"fields":{"source":"referral"},"contacts":[]}'

  curl -s "${url}/customers?identifier=mobile:13800138000" -H "Authorization: Bearer $(cat ${tokens}/clerk)"

  curl -s "${url}/customers?q=wangxiao" -H "Authorization: Bearer $(cat ${tokens}/auditor)"

Ctrl-C stops it; starting again finds the data in ${shown(config.dataDir)}/.
`
}
