// The engine's side: a query's changes over a history, at several of the API's doors.

import { open } from '../../index.js'
import type { Change, QueryProcessor, Row, Velostream } from '../../index.js'
import type { Choices } from './choices.js'
import type { History, Step } from './history.js'
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

function apply(processor: QueryProcessor, { op, source, row }: Step): Change<Row>[] {
  return op === 'delete' ? processor.delete(source, row) : processor.process(source, row)
}

/** Record by record. */
export function runSingly(db: Velostream, query: Query, history: History): Promise<Run> {
  return withRelations(db, query, () => {
    using processor = db.processor(query.velo)
    const steps = history.map((step) => (query.reads.has(step.source) ? apply(processor, step) : []))
    const { primaryKey, updating } = processor
    return { steps: [...steps, processor.end()], primaryKey, updating }
  })
}

/** The history as calls: neighbours of one source in random groups, deletes alone. */
function calls(query: Query, history: History, choices: Choices): Step[][] {
  const groups: Step[][] = []
  for (const step of history) {
    if (!query.reads.has(step.source)) continue
    const last = groups.at(-1)
    const joins = last?.[0]?.op === 'insert' && step.op === 'insert' && last[0].source === step.source
    if (joins && last.length < MOST_ROWS_PER_CALL && choices.chance(70)) last.push(step)
    else groups.push([step])
  }
  return groups
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
    const give = (steps: Step[]): Change<Row>[] => {
      const [first] = steps
      if (first === undefined) return []
      if (first.op === 'delete') return apply(processor, first)
      return processor.processBatch(
        first.source,
        steps.map(({ row }) => row),
      )
    }
    processor.begin()
    const changes = calls(query, history, choices).flatMap((steps) => {
      if (choices.chance(50)) {
        give(steps)
        processor.rollback()
      }
      const given = give(steps)
      processor.commit()
      return given
    })
    return [...changes, ...processor.end()]
  })
}

/** As a running query, whose relations have threads of their own. */
export async function runEngine(query: Query, history: History, choices: Choices): Promise<Change<Row>[]> {
  await using db = await engine(1)
  for (const { sql } of query.created) await db.exec(sql)
  const running = db.query(query.velo)
  const changes: Change<Row>[] = []
  const errors: Error[] = []
  running.on('batch', (batch) => void changes.push(...batch))
  running.on('error', (error) => void errors.push(error))
  for (const steps of calls(query, history, choices)) {
    const [first] = steps
    if (first === undefined) continue
    const rows = steps.map(({ row }) => row)
    await (first.op === 'delete' ? db.delete(first.source, rows) : db.insert(first.source, rows))
  }
  await db.end()
  await db.flush()
  const [error] = errors
  if (error !== undefined) throw error
  return changes
}
