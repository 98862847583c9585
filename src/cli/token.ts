import type { Config } from '../config.ts'
import { Id } from '../domain/values.ts'
import { loadSecrets, signToken } from '../secrets.ts'

/** Prints a token and nothing else. Needs no database: whether the employee is there is asked when the token is used. */
export const token = async (config: Config, options: { role: string; employee?: string; name?: string }): Promise<void> => {
  const { role, employee, name } = options
  if (role === 'system' && (name === undefined || employee !== undefined)) throw new Error('A system’s token takes --name <system> and no --employee')
  if (role !== 'system' && (employee === undefined || name !== undefined)) throw new Error(`A token of the role ${role} takes --employee <id> and no --name`)
  if (!Id.safeParse(employee ?? name).success) throw new Error(`${employee === undefined ? '--name' : '--employee'} must be 1 to 64 letters, digits, dots, hyphens or underscores`)
  const { signingKey } = await loadSecrets(config)
  if (signingKey === undefined) throw new Error('Tokens are made elsewhere: KEHU_PUBLIC_KEY or KEHU_JWKS_URL is set')
  process.stdout.write(`${await signToken(signingKey, config.tokenIssuer, { role, employeeId: employee, name })}\n`)
}
