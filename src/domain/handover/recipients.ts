import { departmentsBelow, type Organisation } from '../organisation/organisation.ts'
import type { z } from 'zod'
import type { HandoverRule } from '../policy/kinds.ts'
import type { FieldProblem } from '../rejection.ts'

export type Rule = z.infer<typeof HandoverRule>
export type SpreadBy = Extract<Rule, { to: 'department' }>['by']

/**
 * Who takes over by a rule, as the organisation is now. `departed`: the successor named has left, and what would have
 * been theirs goes on by the rule of their own departure.
 */
export type Recipients = { to: 'one'; employeeId: string } | { to: 'spread'; by: SpreadBy; employeeIds: readonly string[] } | { to: 'departed'; employeeId: string } | { to: 'nobody' }

export const recipientsOf = (organisation: Organisation, from: string, rule: Rule): Recipients => {
  switch (rule.to) {
    case 'pool':
      return { to: 'nobody' }
    case 'successor': {
      const successor = organisation.employees.get(rule.employeeId)
      if (!successor || rule.employeeId === from) return { to: 'nobody' }
      return { to: successor.departed ? 'departed' : 'one', employeeId: rule.employeeId }
    }
    case 'department': {
      const departments = new Set(departmentsBelow(organisation, rule.departmentId))
      const employeeIds = [...organisation.employees.values()].filter((one) => !one.departed && one.employeeId !== from && departments.has(one.departmentId)).map((one) => one.employeeId)
      return employeeIds.length === 0 ? { to: 'nobody' } : { to: 'spread', by: rule.by, employeeIds: employeeIds.sort() }
    }
  }
}

/** What is wrong with a rule somebody states for an employee; a department may be without anybody. */
export const ruleFaults = (organisation: Organisation, from: string, rule: Rule): FieldProblem[] => {
  switch (rule.to) {
    case 'pool':
      return []
    case 'successor': {
      if (rule.employeeId === from) return [{ path: 'handover/employeeId', message: 'must be somebody else' }]
      const successor = organisation.employees.get(rule.employeeId)
      return successor && !successor.departed ? [] : [{ path: 'handover/employeeId', message: successor ? 'this employee has departed' : 'no employee has this id' }]
    }
    case 'department':
      return organisation.departments.has(rule.departmentId) ? [] : [{ path: 'handover/departmentId', message: 'no department has this id' }]
  }
}
