import { InvalidArgumentError, type Command } from 'commander'
import type { Config } from '../../config.ts'

const fingerprints = (value: string, before: string[]): string[] => {
  if (!/^[0-9a-f]{64}$/i.test(value)) throw new InvalidArgumentError('a fingerprint is 64 hex digits.')
  return [...before, value.toLowerCase()]
}
const size = (value: string): number => {
  if (!/^[1-9]\d{0,14}$/.test(value)) throw new InvalidArgumentError('must be how many events a root was signed over.')
  return Number(value)
}

/** What an auditor asks of the log itself (docs/auditors.md). */
export const addAuditCommands = (program: Command, config: () => Config): void => {
  const audit = program.command('audit').description('prove that the log is what was recorded')

  audit.command('verify').description('check every event, chain and signed root; exit code 1 when anything was changed')
    .option('--roots <file>', 'the roots kept from the log (roots.ndjson): what is in the log itself can be removed from it')
    .option('--fingerprint <hex>', 'of the key that signs roots, as it was given to you; may be repeated', fingerprints, [])
    .option('--json', 'as one JSON object')
    .action((options: { roots?: string; fingerprint: string[]; json?: boolean }) => import('./verify.ts').then(({ auditVerify }) => auditVerify(config(), options)))

  audit.command('prove <customerId>').description('a proof of a customer’s events that tools/verify-proof.mjs checks offline')
    .option('--out <file>', 'where to; standard output unless told')
    .option('--since <size>', 'also that the log has only grown since the root over so many events, which you have kept', size)
    .action((customerId: string, options: { out?: string; since?: number }) => import('./prove.ts').then(({ auditProve }) => auditProve(config(), customerId, options)))

  audit.command('compare [model]').description('the same as kehu compare: replay the log and report every row of the read models that differs')
    .action((model: string | undefined) => import('../compare.ts').then(({ compare }) => compare(config(), model)))

  audit.command('sign').description('sign a root of the log as it is now').action(() => import('./keys.ts').then(({ auditSign }) => auditSign(config())))

  audit.command('rotate-key').description('a new key for the roots, endorsed by the one before; restart the service afterwards').action(() => import('./keys.ts').then(({ auditRotateKey }) => auditRotateKey(config())))
}
