import { v7 as uuidv7 } from 'uuid'
import type { Customer } from '../domain/customer/customer.ts'
import { identitiesGained, identitiesReleased } from '../domain/customer/events.ts'
import { withSharesAt } from '../domain/customer/shares.ts'
import type { Accepted, Caller, Context } from '../domain/decider.ts'
import { isRejection, reject, type Rejection } from '../domain/rejection.ts'
import { rejections } from '../domain/rejection.ts'
import { limitedGain } from '../domain/portfolio/limits.ts'
import { schemaVersionOf } from '../domain/upcasters.ts'
import type { SharedMetadata } from '../event-store/codec.ts'
import { AppendTooLarge, type JsonObject, type Receipt, type RefusedAttempt, type StoredReceipt } from '../event-store/port.ts'
import { drawId } from '../event-store/random.ts'
import { SubjectErased } from '../event-store/sealing.ts'
import type { CommandDefinition } from './definition.ts'
import { customerAsOne, customerAsRecorded } from './group.ts'
import { commandIdOf, derivedId } from './keyed-hash.ts'
import { recall } from './folds.ts'
import { expectedRevision, load, remember, type Loaded } from './load.ts'
import { lookForNearMatches } from './near-matches.ts'
import { positionToken } from './position.ts'
import { problem, problemName, problemOfRejection, type Problem } from './problem.ts'
import { contention, duplicate, onRecord, unknownBehalf } from './refusing.ts'
import { reservations, type Attempt } from './reservation.ts'
import { refusalFor, refusalThen } from './rights.ts'
import type { Runtime } from './runtime.ts'
import { portfolioSlots } from './slots.ts'

/** What comes with a command's body. */
export type Envelope = {
  caller: Caller
  key?: string | undefined
  ifMatch?: number | undefined
  traceparent?: string | undefined
  causationId?: string | undefined
  /** What began it all, where a process sends this; the command itself otherwise. */
  correlationId?: string | undefined
  dryRun?: boolean | undefined
}

export type Answer = { status: number; body: JsonObject | Problem; commandId: string }

/** Attempts at one command, each on a fresh read, before the caller is told to come back. */
const MOST_ATTEMPTS = 5

/**
 * The one path every command takes.
 * 1. load  2. may this caller?  3. decide  4. known key? the first answer again  5. reserve, seal and chain
 * 6. append with the receipt  7. answer
 * A stream that is in memory is not read: an append at the revision known protects itself, and finds the receipt of
 * a known key as well. Whatever else comes of it is decided again on the log.
 */
export const handle = async <Body extends object, State, Event extends { type: string; data: object }>(
  runtime: Runtime,
  command: CommandDefinition<Body, State, Event>,
  given: Body,
  envelope: Envelope,
  /** The body as it was sent: what a repeated key is compared by, whatever defaults a later version adds. */
  sent: unknown = given,
): Promise<Answer> => {
  const slots = portfolioSlots(runtime)
  const answered = await carryOut(runtime, command, given, envelope, sent, slots)
  await slots.giveBack()
  return answered
}

const carryOut = async <Body extends object, State, Event extends { type: string; data: object }>(
  runtime: Runtime, command: CommandDefinition<Body, State, Event>, given: Body, envelope: Envelope, sent: unknown, slots: ReturnType<typeof portfolioSlots>,
): Promise<Answer> => {
  const { caller, key, dryRun = false } = envelope
  const commandId = key === undefined || dryRun ? drawId() : commandIdOf(caller.actor, command.name, key)
  const commandHash = runtime.keyedHash.command({ command: command.name, body: sent, onBehalfOf: caller.onBehalfOf })
  const newId = (what: string) => derivedId(commandId, what)
  const target = command.target(given, newId)
  const streamAt = (id: string) => `${command.decider.kind}-${id}`
  // Where it is carried out; at each attempt anew, for a customer may have become part of another.
  let body = given
  let id = target
  let stream = streamAt(target)
  let named: JsonObject = { [command.idName]: target }
  const { reserve, giveUp, releaseHeld, findHolder } = reservations(runtime)

  const metadata: SharedMetadata = {
    commandId,
    commandHash,
    actor: caller.actor,
    ...(caller.onBehalfOf === null ? {} : { onBehalfOf: caller.onBehalfOf }),
    $correlationId: envelope.correlationId ?? commandId,
    $causationId: envelope.causationId ?? commandId,
    ...(envelope.traceparent === undefined ? {} : { traceparent: envelope.traceparent }),
  }

  const again = (receipt: StoredReceipt): Answer => {
    if (receipt.commandHash !== commandHash) return answer(problem('idempotency-key-reused', 'The same key came before with another body, or on behalf of another employee.'))
    return { status: receipt.status, body: answerOf(runtime, receipt), commandId }
  }
  const answer = (given: Problem): Answer => ({ status: given.status, body: given, commandId })

  const receiptOf = (status: number, content: JsonObject, streams: string[] = [stream]): Receipt =>
    ({ commandId, commandHash, command: command.name, streams, status, answer: content, recordedAt: runtime.now().toISOString() })

  const attemptOf = (refused: Problem, ranInto: JsonObject): RefusedAttempt => ({
    attemptId: uuidv7(), at: runtime.now().toISOString(), actor: caller.actor, onBehalfOf: caller.onBehalfOf, role: caller.role,
    command: command.name, commandId, problem: problemName(refused), stream, ranInto,
  })

  /** A refusal decided from state is the answer to this key for ever; any other leaves the key free. Both are on record. */
  const refuse = async (rejection: Rejection, identities: readonly string[] = []): Promise<Answer> => {
    const refused = problemOfRejection(rejection)
    if (dryRun) return answer(refused)
    const ranInto = jsonOf({ ...rejection.extensions, ...(identities.length > 0 ? { identities: [...identities] } : {}) })
    if (rejections[rejection.rejected].receipt) return again(await runtime.store.receipts.record(receiptOf(refused.status, jsonOf({ ...refused, commandId })), attemptOf(refused, ranInto)))
    if (refused.status === 403 || onRecord.has(rejection.rejected)) await runtime.store.receipts.recordAttempt(attemptOf(refused, ranInto))
    return answer(refused)
  }

  /** The revision a reader sees: fences are the protocol's own. */
  const revisionOf = (loaded: Loaded<State>): number => command.asCustomer?.state(loaded.state).visibleRevision ?? loaded.head.revision

  const noOp = async (loaded: Loaded<State>): Promise<Answer> => {
    const content = { commandId, ...named, streamId: stream, revision: revisionOf(loaded), position: positionToken(runtime, loaded.position), events: [], warnings: [] }
    if (dryRun) return { status: 200, body: content, commandId }
    return again(await runtime.store.receipts.record(receiptOf(200, content)))
  }

  let nearMatches: Context['nearMatches']
  const decide = (state: State, now: string, related: Customer | null, others: readonly (Customer | null)[]): Accepted<Event> | Rejection => {
    const organisation = runtime.organisation.current()
    const inForce = (one: Customer | null) => one && withSharesAt(one, now)
    const customer = inForce(command.asCustomer?.state(state) ?? null)
    const context: Context = { now, caller, organisation, commandId, newId, identityOf: runtime.keyedHash.identity, nearMatches }
    const earlier = command.right === 'hold' || command.right === 'direct' ? command.effectiveAt?.(body) : undefined
    return unknownBehalf(caller, organisation)
      ?? (customer && refusalFor(command.right, caller, customer, organisation))
      ?? (customer && earlier !== undefined ? refusalThen(caller, customer, earlier, organisation) : undefined)
      ?? command.refusal?.(state, body, caller, organisation, inForce(related), others.map(inForce)) ?? command.decide(state, body, context, related, others)
  }

  /** What of a decision the ownership policy limits. */
  const limitOf = (state: State, { events, effectiveAt }: Accepted<Event>, now: string) => {
    if (!command.asCustomer) return undefined
    const { policies, log } = runtime.organisation.current()
    return limitedGain(id, command.asCustomer.state(state), { events: command.asCustomer.events(events), ...(effectiveAt === undefined ? {} : { effectiveAt }) }, policies.ownership.value.pool, { at: now, timeZone: log?.timeZone ?? 'UTC' })
  }

  /** 2. may this caller?  3. decide. A refusal or a no-op is decided again on the newest organisation. */
  const consider = async (addressed: Loaded<State>) => {
    const placed = await command.place?.(runtime, given, addressed)
    const { loaded, decideOn } = placed ?? { loaded: addressed, decideOn: addressed.state }
    body = placed?.body ?? given
    id = placed?.id ?? target
    stream = streamAt(id)
    named = { [command.idName]: placed?.answerId ?? target, ...(placed?.redirectedFrom === undefined ? {} : { redirectedFrom: placed.redirectedFrom }) }
    const revision = placed?.revision ?? revisionOf(loaded)
    const clock = runtime.now().toISOString()
    const now = loaded.head.recordedAt !== null && loaded.head.recordedAt > clock ? loaded.head.recordedAt : clock
    const changed = envelope.ifMatch !== undefined && envelope.ifMatch !== revision
      ? problem('precondition-failed', 'If-Match does not name the current revision.', { extensions: { revision } }) : undefined
    const relatedId = command.customerOf?.(body)
    const related = relatedId === undefined ? null : await customerAsOne(runtime, relatedId)
    const near = await lookForNearMatches(runtime, command.wouldBe?.(loaded.state, body, runtime))
    nearMatches = near.found
    const others = await Promise.all((command.customersOf?.(body, decideOn) ?? []).map((customerId) => customerAsRecorded(runtime, customerId)))
    let decision = decide(decideOn, now, related, others)
    if ((isRejection(decision) || decision.events.length === 0) && (await runtime.organisation.refresh())) decision = decide(decideOn, now, related, others)
    const gained = isRejection(decision) ? [] : identitiesGained(command.asCustomer?.events(decision.events) ?? [])
    const limited = isRejection(decision) ? undefined : limitOf(loaded.state, decision, now)
    const unable = changed ?? near.problem
    return { loaded, now, unable, decision, gained, limited, isAppend: unable === undefined && !isRejection(decision) && decision.events.length > 0 && gained.length === 0 && limited === undefined }
  }

  for (let round = 0; round < MOST_ATTEMPTS; round += 1) {
    if (round > 0) await runtime.sleep(Math.random() * 10 * 2 ** round)
    // 1. load
    const recalled = round === 0 && !dryRun && runtime.folds?.isBehind(streamAt(target)) === false ? recall(runtime.folds, command.decider, streamAt(target)) : undefined
    let considered = await consider(recalled?.loaded ?? (await load(runtime, command.decider, streamAt(target))))
    // 4. known key? the first answer again
    if (!dryRun && (round > 0 || (key !== undefined && !considered.isAppend))) {
      const receipt = await runtime.store.receipts.find(commandId)
      if (receipt) return again(receipt)
    }
    if (recalled && !considered.isAppend) considered = await consider(await load(runtime, command.decider, streamAt(target)))
    const { loaded, now, unable, decision, gained, limited } = considered
    if (unable) return answer(unable)
    if (isRejection(decision)) return refuse(decision)
    if (decision.events.length === 0) return noOp(loaded)

    // 5. reserve, seal and chain
    const { events, warnings = [] } = decision
    const customer = command.asCustomer?.state(loaded.state)
    const attempt: Attempt | undefined = customer && { customerId: id, loaded: { ...loaded, state: customer }, metadata }
    const reliedOn: string[] = []
    if (attempt && limited) {
      const taken = await slots.reserve(attempt, limited, dryRun)
      if (taken.outcome === 'start-over') continue
      if (taken.outcome === 'refused') return refuse(taken.rejection)
      if (taken.outcome !== 'reserved') return answer(taken.outcome === 'unable' ? taken.problem : contention)
    }
    if (dryRun) {
      for (const name of gained) {
        const holder = await findHolder(name)
        if (holder && holder.customerId !== id) return refuse(await duplicate(runtime, holder, name))
      }
      return { status: 200, body: { commandId, ...named, streamId: stream, revision: loaded.head.revision + events.length, dryRun: true, events: events.map((event, index) => ({ type: event.type, revision: loaded.head.revision + 1 + index })), warnings, ...(await command.preview?.(runtime, body)) }, commandId }
    }
    if (attempt && gained.length > 0) {
      const reservation = await reserve(gained, attempt, reliedOn)
      if (reservation.outcome === 'start-over') continue
      if (reservation.outcome === 'held' || reservation.outcome === 'timed-out') {
        if (!(await giveUp(attempt, reliedOn))) continue
        return reservation.outcome === 'held' ? refuse(await duplicate(runtime, reservation.holder, reservation.name), gained) : answer(contention)
      }
    }
    const plain = events.map((event) => ({ type: event.type, schemaVersion: schemaVersionOf(event.type), data: jsonOf(event.data) }))
    const sealed = await runtime.codec.encode(stream, loaded.head, plain, {
      ...metadata,
      ...(decision.effectiveAt === undefined ? {} : { effectiveAt: decision.effectiveAt }),
      ...(decision.policies === undefined ? {} : { policies: decision.policies }),
    }, now).catch((error: unknown) => {
      if (error instanceof SubjectErased) return reject('customer-erased', 'A key this command would write under has been destroyed.')
      throw error
    })
    if (!Array.isArray(sealed)) return (attempt && !(await giveUp(attempt, reliedOn))) ? answer(contention) : refuse(sealed)

    // 6. append with the receipt
    const revision = loaded.head.revision + sealed.length
    const content = { commandId, ...named, streamId: stream, revision, events: sealed.map((event, index) => ({ id: event.id, type: event.type, revision: loaded.head.revision + 1 + index })), warnings }
    const receipt = receiptOf(command.creates ? 201 : 200, content, [stream, ...gained.map((name) => `identity-${name}`)])
    const result = await runtime.store.append({ stream, expectedRevision: expectedRevision(loaded.head), events: sealed, receipt }).catch((error: unknown) => {
      if (error instanceof AppendTooLarge) return error
      throw error
    })
    if (result instanceof AppendTooLarge) {
      if (attempt) await giveUp(attempt, reliedOn)
      return answer(problem('command-too-large', result.message))
    }
    if (result.outcome === 'answered') {
      // Another attempt was first: what this one reserved stays only where that one wrote the customer.
      if (attempt) await giveUp(attempt, reliedOn)
      return again(result.receipt)
    }
    if (result.outcome === 'conflict') {
      if (round === MOST_ATTEMPTS - 1 && attempt) await giveUp(attempt, reliedOn)
      continue
    }
    remember(runtime.folds, command.decider, loaded, events, sealed, result.position)
    await slots.settle()
    if (attempt) await releaseHeld(attempt, identitiesReleased(command.asCustomer?.events(events) ?? []))
    if (command.right === 'configure') await runtime.organisation.refresh()
    // 7. answer
    return { status: receipt.status, body: answerOf(runtime, { ...receipt, position: result.position }), commandId }
  }
  return answer(contention)
}

/** A receipt's answer as its caller gets it: the position, which the log gave, is added as a token. */
export const answerOf = (runtime: Runtime, receipt: StoredReceipt): JsonObject => (receipt.position === null ? receipt.answer : { ...receipt.answer, position: positionToken(runtime, receipt.position) })

/** As JSON would carry it: undefined properties are gone. */
const jsonOf = (value: object): JsonObject => JSON.parse(JSON.stringify(value))
