// Whether one query over one history is answered as DuckDB answers it, and what differs where it is not.

import type { Change, Row, Velostream } from '../../index.js'
import { Answer, difference, ofEngine, ofReference, same, show } from './answer.js'
import { Choices } from './choices.js'
import { runEngine, runRolledBack, runSingly } from './doors.js'
import type { Run } from './doors.js'
import type { History } from './history.js'
import type { Query } from './query.js'
import type { AnswerRow, Reference } from './reference.js'

/** What is wrong; `kind` tells failures apart while one is shrunk. */
export interface Failure {
  readonly kind: string
  readonly detail: string
}

export interface Systems {
  readonly db: Velostream
  readonly reference: Reference
}

/** Which doors besides `processor.process` are tried, and the seed of their batches. */
export interface Doors {
  readonly rolledBack: boolean
  readonly engine: boolean
  readonly seed: number
}

function lines(title: string, rows: string[]): string {
  return rows.length === 0 ? '' : `\n    ${title}\n${rows.map((row) => `      ${row}`).join('\n')}`
}

/** No columns are the key of a single row, which alone can be updated without others. */
function keyOf({ singleRow }: Query, { primaryKey, steps }: Run): readonly string[] | undefined {
  const isSingle = singleRow || steps.some((changes) => changes.some(({ op }) => op === 'update'))
  return isSingle || primaryKey.length > 0 ? primaryKey : undefined
}

/** The first of some final rows that comes before one that belongs before it. */
function outOfOrder(
  { columns }: Query,
  changes: readonly Change<Row>[],
  answer: readonly AnswerRow[],
): string | undefined {
  const rows = answer.map(({ rank, values }) => ({ rank, row: ofReference(values, columns) }))
  rows.sort(({ rank: left }, { rank: right }) => left[0] - right[0] || left[1] - right[1])
  let from = 0
  for (const change of changes) {
    const row = ofEngine(change.row, columns)
    const at = rows.findIndex((each, place) => place >= from && same(each.row, row))
    if (at < 0) return `the final row ${show(row)} comes too late`
    // Rows of one rank may come in any order.
    const [first, second] = rows[at]?.rank ?? [0, 0]
    from = rows.findIndex(({ rank }) => rank[0] === first && rank[1] === second)
  }
  return undefined
}

/** Compares the accumulated changes with the answer after every step. */
function compareSteps(query: Query, history: History, run: Run, answers: AnswerRow[][]): Failure | undefined {
  const { columns } = query
  if (run.updating === query.append) {
    return { kind: 'updating', detail: `the engine says updating: ${run.updating}` }
  }
  const answer = new Answer(columns, keyOf(query, run))
  for (const [at, changes] of run.steps.entries()) {
    const isEnd = at === run.steps.length - 1
    const where = isEnd ? 'at end of input' : `after record ${at + 1}`
    const unfit = query.append ? changes.find(({ op }) => op !== 'insert') : undefined
    if (unfit !== undefined) return { kind: 'append', detail: `${where}: ${unfit.op} in an append-only log` }
    // Inputs end, and are moved in time, one after another, each with changes of its own.
    const isOne = !isEnd && history[at]?.op !== 'advance'
    const isStep = isOne || query.reads.size <= 1
    const broken = answer.apply(changes, isStep)
    if (broken !== undefined) return { kind: 'change log', detail: `${where}: ${broken}` }
    const expected = (answers[at + 1] ?? []).map(({ values }) => ofReference(values, columns))
    const { onlyLeft, onlyRight } = difference(answer.rows(), expected)
    if (onlyLeft.length + onlyRight.length > 0) {
      const detail = [
        where,
        lines(
          'changes',
          changes.map(({ op, row }) => `${op} ${show(ofEngine(row, columns))}`),
        ),
        lines('only Velostream has', onlyLeft.map(show)),
        lines('only DuckDB has', onlyRight.map(show)),
      ]
      return { kind: 'difference', detail: detail.join('') }
    }
    const misplaced = query.ranked ? outOfOrder(query, changes, answers[at + 1] ?? []) : undefined
    if (misplaced !== undefined) return { kind: 'order', detail: `${where}: ${misplaced}` }
  }
  return undefined
}

/** Compares another door's changes with those of `processor.process`, one for one. */
function compareDoor(door: string, query: Query, run: Run, changes: Change<Row>[]): Failure | undefined {
  const texts = (all: readonly Change<Row>[]) =>
    all.map(({ op, row }) => `${op} ${show(ofEngine(row, query.columns))}`)
  const [expected, found] = [texts(run.steps.flat()), texts(changes)]
  if (query.emit === 'FINAL' && query.created.some(({ kind }) => kind === 'TABLE')) {
    // A processor expands the table and sees its windows close; to a running query it is rows until its end.
    expected.sort()
    found.sort()
  }
  const at = expected.findIndex((text, i) => text !== found[i])
  if (at < 0 && expected.length === found.length) return undefined
  const place = at < 0 ? expected.length : at
  const near = (all: string[]) => all.slice(Math.max(0, place - 2), place + 3)
  return {
    kind: door,
    detail: `change ${place + 1} differs from that of processor.process${lines('expected', near(expected))}${lines('found', near(found))}`,
  }
}

function thrown(kind: string, error: unknown): Failure {
  const code = (error as { code?: string }).code ?? 'Error'
  return { kind: `${kind} ${code}`, detail: (error as Error).message }
}

async function compareDoors(
  { db }: Systems,
  query: Query,
  history: History,
  run: Run,
  doors: Doors,
): Promise<Failure | undefined> {
  if (doors.rolledBack) {
    const changes = await runRolledBack(db, query, history, Choices.fromSeed(doors.seed))
    const failure = compareDoor('processBatch with rollback', query, run, changes)
    if (failure !== undefined) return failure
  }
  if (!doors.engine) return undefined
  return compareDoor(
    'running engine',
    query,
    run,
    await runEngine(query, history, Choices.fromSeed(doors.seed)),
  )
}

/** Runs a query in both systems; the reference has loaded the history. */
export async function check(
  systems: Systems,
  query: Query,
  history: History,
  doors: Doors,
): Promise<Failure | undefined> {
  let answers: AnswerRow[][]
  try {
    answers = await systems.reference.answers(query, history.length)
  } catch (error) {
    return thrown('DuckDB', error)
  }
  try {
    const run = await runSingly(systems.db, query, history)
    return (
      compareSteps(query, history, run, answers) ?? (await compareDoors(systems, query, history, run, doors))
    )
  } catch (error) {
    return thrown('Velostream', error)
  }
}
