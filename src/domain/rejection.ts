/**
 * Every way a command can be refused by the domain. The name is the last part of the problem's type, a promise to
 * callers: names are added, never changed. `receipt` says whether the refusal is the command's final answer under
 * its key (decided from state), or leaves the key free for another try.
 */
export const rejections = {
  'customer-not-found': { status: 404, title: 'No such customer', receipt: false, advice: 'Check the customerId; find customers with GET /customers.' },
  'contact-not-found': { status: 404, title: 'No such contact of this customer', receipt: false, advice: 'GET /customers/{id} lists the contacts and their ids.' },
  'employee-not-found': { status: 404, title: 'No such employee', receipt: false, advice: 'GET /employees lists them; register-employee adds one.' },
  'department-not-found': { status: 404, title: 'No such department', receipt: false, advice: 'GET /departments lists them; register-department adds one.' },
  'category-not-found': { status: 404, title: 'No such category', receipt: false, advice: 'GET /categories lists them; define-category adds one.' },
  'policy-not-found': { status: 404, title: 'No policy of this kind has been defined', receipt: false, advice: 'define-policy makes the first version; revise-policy the next ones.' },
  'unknown-reference': { status: 422, title: 'The command names something that does not exist', receipt: false, advice: 'Each bad field is listed under errors; correct it and send again.' },
  'invalid-fields': { status: 422, title: 'Fields are missing or malformed', receipt: false, advice: 'Each bad field is listed under errors; GET /categories/{id} shows the template. Correct them and send again.' },
  'invalid-policy': { status: 422, title: 'The policy does not fit its schema', receipt: false, advice: 'Each fault is listed under errors; GET /policies/{kind} shows the version in force.' },
  'invalid-template': { status: 422, title: 'The category or its template is not valid', receipt: false, advice: 'Each fault is listed under errors.' },
  'invalid-effective-time': { status: 422, title: 'The effective time is not acceptable', receipt: false, advice: 'Use an instant that is not in the future, not before the entry of the customer, and within the time the ownership policy allows.' },
  'on-behalf-of-required': { status: 422, title: 'An employee is meant, and none is named', receipt: false, advice: 'Send the header On-Behalf-Of with the id of the employee who enters or claims.' },
  'not-permitted': { status: 403, title: 'This caller may not do this', receipt: false, advice: 'Ask the owner, or a manager of the department that holds the customer.' },
  'customer-exists': { status: 409, title: 'A customer with this id exists', receipt: true, advice: 'Choose another customerId or leave it out.' },
  'duplicate-customer': { status: 409, title: 'An identifier is already held by another customer', receipt: true, advice: 'Work with the holder named here: ask its owner to share it, or claim it when it is in the pool.' },
  'near-duplicate': { status: 409, title: 'Customers much like this one are here already', receipt: false, advice: 'Look at the candidates named here. If none is the same, send the command again with an acknowledgement that names each of them, and a reason.' },
  'identifier-not-held': { status: 409, title: 'This customer does not hold this identifier', receipt: true, advice: 'GET /customers/{id} shows the identifiers it holds.' },
  'already-owned': { status: 409, title: 'The customer has an owner', receipt: true, advice: 'Ask the owner or a manager for a transfer.' },
  'not-owned': { status: 409, title: 'The customer has no such owner', receipt: true, advice: 'It is in the public pool or held by someone else at that time: claim-ownership takes it from the pool.' },
  'already-corrected': { status: 409, title: 'The event was corrected before', receipt: true, advice: 'Correct the event named here: it stands in the place of the other.' },
  'cool-off': { status: 409, title: 'Who held it last cannot claim it yet', receipt: false, advice: 'Claim it from the instant named here on; until then another may, or a manager assigns it.' },
  'time-passed': { status: 422, title: 'The time has passed already', receipt: false, advice: 'Name an instant in the future.' },
  'capacity-reached': { status: 409, title: 'The employee holds as many customers as the policy allows', receipt: false, advice: 'Release or hand over a customer, name another employee, or revise the ownership policy (pool.capacity). The same key may be sent again.' },
  'quota-reached': { status: 409, title: 'The employee has claimed as many customers today as the policy allows', receipt: false, advice: 'nextDayAt says when the next day begins. The same key may be sent again then.' },
  'not-shared': { status: 409, title: 'The customer is not shared with them', receipt: true, advice: 'GET /customers/{id} lists with whom it is shared.' },
  'move-not-allowed': { status: 409, title: 'The stage policy does not allow this move', receipt: true, advice: 'The allowed moves are named here; revise-policy changes them.' },
  'reason-required': { status: 422, title: 'This needs a reason', receipt: false, advice: 'Send the command again with a reason.' },
  'not-an-upgrade': { status: 409, title: 'That is not a higher tier', receipt: true, advice: 'The ladder is named here; downgrade-tier moves down.' },
  'not-a-downgrade': { status: 409, title: 'That is not a lower tier', receipt: true, advice: 'The ladder is named here; upgrade-tier moves up.' },
  'employee-exists': { status: 409, title: 'An employee with this id exists', receipt: true, advice: 'Choose another employeeId or leave it out.' },
  'employee-departed': { status: 409, title: 'The employee has departed', receipt: true, advice: 'Name an employee who is still here.' },
  'department-exists': { status: 409, title: 'A department with this id exists', receipt: true, advice: 'Choose another departmentId or leave it out.' },
  'department-cycle': { status: 409, title: 'A department cannot lie below itself', receipt: true, advice: 'Move it below a department that is not among its own.' },
  'category-exists': { status: 409, title: 'A category with this id exists', receipt: true, advice: 'revise-category changes it.' },
  'category-cycle': { status: 409, title: 'A category cannot lie below itself', receipt: true, advice: 'Choose a parent that is not among its own children.' },
  'policy-exists': { status: 409, title: 'A policy of this kind is defined', receipt: true, advice: 'revise-policy makes a new version.' },
  'complaint-not-found': { status: 404, title: 'No such complaint', receipt: false, advice: 'Check the complaintId; find complaints with GET /complaints.' },
  'complaint-exists': { status: 409, title: 'A complaint with this id exists', receipt: true, advice: 'Choose another complaintId or leave it out.' },
  'complaint-closed': { status: 409, title: 'The complaint is closed', receipt: true, advice: 'reopen-complaint begins it again.' },
  'wrong-step': { status: 409, title: 'Another step of the complaint comes first', receipt: true, advice: 'The steps are accept, reply, act, follow up, improve, in this order; the next one is named here.' },
  'top-level': { status: 409, title: 'There is no higher level', receipt: true, advice: 'reassign-complaint names another handler; revise-policy adds a level.' },
  'not-due': { status: 409, title: 'The deadline has not passed', receipt: false, advice: 'Nothing is to be done: it is looked at again when it is due.' },
  'purchase-exists': { status: 409, title: 'A purchase with this id exists', receipt: true, advice: 'A purchase is recorded once; correct it by a refund and a new purchase.' },
  'purchase-not-found': { status: 404, title: 'No such purchase of this customer', receipt: false, advice: 'Record the purchase first, or check the purchaseId.' },
  'refund-exists': { status: 409, title: 'A refund with this id exists', receipt: true, advice: 'A refund is recorded once.' },
  'refund-too-large': { status: 409, title: 'Never more is refunded than was bought', receipt: true, advice: 'What can still be refunded is named here.' },
  'merge-in-progress': { status: 409, title: 'One of the customers is being merged at this moment', receipt: false, advice: 'Send it again after a moment: the other merge is decided by then.' },
  'already-merged': { status: 409, title: 'The two are one customer already', receipt: true, advice: 'To let the other one stand for both, reverse-merge first, and merge anew.' },
  'different-kinds': { status: 409, title: 'One is a person, the other an organisation', receipt: false, advice: 'They cannot be one customer. If one of them is in the wrong category, recategorise-customer first.' },
  'not-merged': { status: 409, title: 'This customer has not been absorbed by that merge', receipt: false, advice: 'GET /customers/{id}?redirect=false tells whether, and by which merge, it is part of another.' },
  'case-not-found': { status: 404, title: 'No such duplicate case', receipt: false, advice: 'Check the caseId; find cases with GET /duplicate-cases.' },
  'case-dismissed': { status: 409, title: 'The two customers were judged to be different', receipt: true, advice: 'With new evidence, open-duplicate-case with a note opens the case again.' },
  'case-merged': { status: 409, title: 'The two customers have been merged', receipt: true, advice: 'reverse-merge gives both back.' },
  'report-not-found': { status: 404, title: 'No such record report', receipt: false, advice: 'Check the reportId; find reports with GET /record-reports.' },
  'report-judged': { status: 409, title: 'The report has been judged otherwise', receipt: true, advice: 'GET /record-reports/{id} shows the judgement. With new evidence, report-record reports what was dismissed again.' },
  'no-such-fault': { status: 409, title: 'The record does not show this fault', receipt: true, advice: 'GET /customers?incomplete=true lists records that lack something, and what; GET /customers/{id} shows the category.' },
  'fault-upheld': { status: 409, title: 'This fault was upheld before', receipt: true, advice: 'A fault is judged, and fined, once. What is to be put right about the record is for its owner.' },
  'judge-is-party': { status: 403, title: 'A party does not judge', receipt: false, advice: 'Another manager over the department of the record judges, or one above.' },
  'no-dispute': { status: 422, title: 'Ownership is not in dispute', receipt: false, advice: 'moveOwnership goes with a report of a duplicate; other changes of owner are transfer-ownership.' },
  'handover-not-found': { status: 404, title: 'No such handover', receipt: false, advice: 'GET /handovers lists them.' },
  'customer-erased': { status: 409, title: 'The personal data of this customer was erased', receipt: true, advice: 'Nothing more can be written about it.' },
} as const satisfies Record<string, { status: number; title: string; receipt: boolean; advice: string }>

export type RejectionName = keyof typeof rejections
export type FieldProblem = { path: string; message: string }
export type Scalar = string | number | boolean | null
export type Extension = Scalar | Extension[] | { [key: string]: Extension }

/** What a problem says of itself: facts stand beside it under other names. */
type NotAProblemsOwn = { type?: never; title?: never; status?: never; detail?: never; errors?: never }
/** A refusal: what was wrong, in words without personal values, and facts a program can use. */
export type Rejection = { rejected: RejectionName; detail: string; errors?: FieldProblem[]; extensions?: Record<string, Extension> & NotAProblemsOwn }

export const reject = (rejected: RejectionName, detail: string, more: Omit<Rejection, 'rejected' | 'detail'> = {}): Rejection => ({ rejected, detail, ...more })

export const isRejection = (value: object): value is Rejection => 'rejected' in value
