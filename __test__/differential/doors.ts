// The engine's side: a query's changes over a history, at several of the API's doors.

import { open } from '../../index.js'
import type { Change, QueryProcessor, Row, Velostream } from '../../index.js'
import type { Choices } from './choices.js'
import type { History, SourceRecord, Step } from './history.js'
import type { Query } from './query.js'
import { sources } from './schema.js'

/** What one query gave: its changes after each step, the last at end of input, and what it says of itself. */
export interface Run {
  readonly steps: readonly Change<Row>[][]
  readonly primaryKey: readonly string[]
  readonly updating: boolean
}

const MOST_ROWS_PER_CALL = 5

/** Sources are declared once; relations of a query are dropped with it. */
export async function engine(partitions: number): Promise<Velostream> {
  const db = await open({ partitions, timestamps: 'number', clock: () => 0 })
  await db.exec(sources.map(({ definition }) => definition).join(';\n'))
  return db
}

/** Runs `use` with the query's relations in place. */
async function withRelations<T>(db: Velostream, query: Query, use: () => T): Promise<T> {
  const made: Query['created'][number][] = []
  try {
    for (const relation of query.created) {
      await db.exec(relation.sql)
      made.push(relation)
    }
    return use()
  } finally {
    for (const { kind, name } of made.toReversed()) await db.exec(`DROP ${kind} ${name}`)
  }
}

/** Whether a query sees a step. */
function sees({ reads }: Query, step: Step): boolean {
  return step.op === 'advance' || reads.has(step.source)
}

function apply(processor: QueryProcessor, step: Step): Change<Row>[] {
  if (step.op === 'advance') return processor.advanceTime(step.millis)
  const { op, source, row } = step
  return op === 'delete' ? processor.delete(source, row) : processor.process(source, row)
}

/** Record by record. */
export function runSingly(db: Velostream, query: Query, history: History): Promise<Run> {
  return withRelations(db, query, () => {
    using processor = db.processor(query.velo)
    const steps = history.map((step) => (sees(query, step) ? apply(processor, step) : []))
    const { primaryKey, updating } = processor
    return { steps: [...steps, processor.end()], primaryKey, updating }
  })
}

/** A call: neighbouring rows for one source, or a single other step. */
type Call = { readonly rows: SourceRecord[] } | { readonly step: Step }

function calls(query: Query, history: History, choices: Choices): Call[] {
  const all: Call[] = []
  for (const step of history) {
    if (!sees(query, step)) continue
    const last = all.at(-1)
    if (step.op !== 'insert') all.push({ step })
    else if (last === undefined || !('rows' in last)) all.push({ rows: [step] })
    else {
      const joins = last.rows[0]?.source === step.source && last.rows.length < MOST_ROWS_PER_CALL
      if (joins && choices.chance(70)) last.rows.push(step)
      else all.push({ rows: [step] })
    }
  }
  return all
}

/** In batches, many of which are first given and rolled back. */
export function runRolledBack(
  db: Velostream,
  query: Query,
  history: History,
  choices: Choices,
): Promise<Change<Row>[]> {
  return withRelations(db, query, () => {
    using processor = db.processor(query.velo)
    const give = (call: Call): Change<Row>[] => {
      if ('step' in call) return apply(processor, call.step)
      const rows = call.rows.map(({ row }) => row)
      return processor.processBatch(call.rows[0]?.source ?? '', rows)
    }
    processor.begin()
    const changes = calls(query, history, choices).flatMap((call) => {
      if (choices.chance(50)) {
        give(call)
        processor.rollback()
      }
      const given = give(call)
      processor.commit()
      return given
    })
    return [...changes, ...processor.end()]
  })
}

/** As a running query, whose relations have threads of their own. */
export async function runEngine(query: Query, history: History, choices: Choices): Promise<Change<Row>[]> {
  await using db = await engine(choices.between(1, 4))
  for (const { sql } of query.created) await db.exec(sql)
  const running = db.query(query.velo)
  const changes: Change<Row>[] = []
  const errors: Error[] = []
  running.on('batch', (batch) => void changes.push(...batch))
  running.on('error', (error) => void errors.push(error))
  for (const call of calls(query, history, choices)) {
    if ('rows' in call) {
      const rows = call.rows.map(({ row }) => row)
      await db.insert(call.rows[0]?.source ?? '', rows)
    } else if (call.step.op === 'advance') await db.advanceTime(call.step.millis)
    else await db.delete(call.step.source, call.step.row)
  }
  await db.end()
  await db.flush()
  const [error] = errors
  if (error !== undefined) throw error
  return changes
}
