import { v7 as uuidv7 } from 'uuid'
import { defaultCategories } from '../domain/category/defaults.ts'
import type { Caller } from '../domain/decider.ts'
import { defaultPolicies } from '../domain/policy/defaults.ts'
import { policyKindNames } from '../domain/policy/kinds.ts'
import * as system from '../domain/system/system.ts'
import { emptyHead } from '../event-store/chain.ts'
import { handleNamed } from './send.ts'
import type { Runtime } from './runtime.ts'

/** The identity key is not the one this log was opened with. Going on would silently end uniqueness. */
export class WrongIdentityKey extends Error {
  override name = 'WrongIdentityKey'
}

const bootstrap: Caller = { actor: 'bootstrap', role: 'admin', employeeId: null, onBehalfOf: null }

/** What a new organisation starts with besides policies and categories: one department, one employee for each human role. */
export const firstDepartment = { departmentId: 'head-office', name: '总部 Head office' }
export const firstEmployees = [
  { role: 'clerk', employeeId: 'clerk', name: '首任柜员' },
  { role: 'manager', employeeId: 'manager', name: '首任经理' },
  { role: 'auditor', employeeId: 'auditor', name: '首任审计员' },
  { role: 'analyst', employeeId: 'analyst', name: '首任分析师' },
  { role: 'admin', employeeId: 'admin', name: '首任管理员' },
] as const

/**
 * Opens an empty log and gives it the defaults, as events. Each step is an ordinary command with a key of its own,
 * so a start that was killed half-way, or two at once, end in the same log.
 * @throws WrongIdentityKey
 */
export const bootstrapLog = async (runtime: Runtime, options: { identityKeyFingerprint: string; timeZone: string }): Promise<{ opened: boolean }> => {
  await runtime.organisation.refresh()
  const opened = runtime.organisation.current().log === null
  if (opened) await openLog(runtime, options)
  const { log, employees } = runtime.organisation.current()
  if (log?.identityKey !== options.identityKeyFingerprint) {
    throw new WrongIdentityKey(`This log was opened with identity key ${log?.identityKey ?? '?'}, and ${options.identityKeyFingerprint} is configured: restore the identity key that belongs to this log`)
  }
  const last = firstEmployees[firstEmployees.length - 1]
  if (last && !employees.has(last.employeeId)) await configure(runtime)
  return { opened }
}

const openLog = async (runtime: Runtime, { identityKeyFingerprint, timeZone }: { identityKeyFingerprint: string; timeZone: string }): Promise<void> => {
  const commandId = uuidv7()
  const metadata = { commandId, commandHash: runtime.keyedHash.command({ command: 'open-log' }), actor: bootstrap.actor, $correlationId: commandId, $causationId: commandId }
  const data = { logId: uuidv7(), placeId: uuidv7(), identityKey: identityKeyFingerprint, timeZone }
  const events = await runtime.codec.encode(system.stream, emptyHead(system.stream), [{ type: 'LogOpened', schemaVersion: 1, data }], metadata, runtime.now().toISOString())
  // A conflict means another process opened it first: its log is this log.
  await runtime.store.append({ stream: system.stream, expectedRevision: 'no_stream', events })
  await runtime.organisation.refresh()
}

const configure = async (runtime: Runtime): Promise<void> => {
  const send = async (command: string, id: string, body: object) => {
    const answer = await handleNamed(runtime, command, body, { caller: bootstrap, key: `bootstrap/${id}` })
    if (answer.status >= 400) throw new Error(`The first start could not ${command} ${id}: ${JSON.stringify(answer.body)}`)
  }
  for (const policy of policyKindNames) await send('define-policy', policy, { policy, value: defaultPolicies[policy] })
  for (const { categoryId, parentId, labels, criterion, kind, template } of defaultCategories) await send('define-category', categoryId, { categoryId, parentId, labels, criterion, kind, template })
  await send('register-department', firstDepartment.departmentId, firstDepartment)
  for (const { employeeId, name } of firstEmployees) await send('register-employee', employeeId, { employeeId, name, departmentId: firstDepartment.departmentId })
}
