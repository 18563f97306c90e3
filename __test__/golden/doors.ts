// Runs one scene of a golden file at one of the public API's doors and tells what differs.

import { open } from '../../index.js'
import type { Change, Column, Query, Row, Velostream, VelostreamError } from '../../index.js'
import { isData, words } from './format.js'
import type { Item, Refusal, Scene } from './format.js'
import * as values from './values.js'

/** One line of what a step caused: a mark and the row, or `late`, or `reject`. */
type Line = string

export type Door = 'processor' | 'batch' | 'engine 0' | 'engine 1' | 'engine 3'

const MARK = { insert: '+', delete: '-', update: '~' } as const

function show(change: Change<Row>, columns: readonly Column[]): Line {
  const row = columns.map(({ name, type }) => values.actual(change.row[name], type))
  return [MARK[change.op], ...row].join(' ')
}

function rowOf(item: Item, columns: readonly Column[]): Row {
  return Object.fromEntries(
    item.words.map((word, at) => [
      columns[at]?.name ?? `surplus ${at}`,
      values.input(word, columns[at]?.type ?? ''),
    ]),
  )
}

function expectedRow(rest: string, columns: readonly Column[]): string {
  return words(rest)
    .map((word, at) => values.expected(word, columns[at]?.type ?? ''))
    .join(' ')
}

/** What a step is to cause in one query. `late` is seen only by a running engine's counters. */
function expectedLines(step: Item, query: string, columns: readonly Column[]): Line[] {
  return step.expected
    .filter((expectation) => expectation.query === query && expectation.mark !== 'late')
    .map(({ mark, rest }) => (mark === 'reject' ? `reject ${rest}` : `${mark} ${expectedRow(rest, columns)}`))
}

function compare(line: number, found: Line[], wanted: Line[]): string[] {
  const same =
    found.length === wanted.length &&
    wanted.every((want, at) =>
      want.startsWith('reject ') ? rejectFits(found[at] ?? '', want) : want === found[at],
    )
  if (same) return []
  const list = (lines: Line[]) => lines.map((each) => `\n      ${each}`).join('') || ' nothing'
  return [`  line ${line}: expected${list(wanted)}\n    found${list(found)}`]
}

/** `reject CODE part of the message` */
function rejectFits(found: Line, wanted: Line): boolean {
  const [, code = '', ...message] = wanted.split(' ')
  return found.startsWith(`reject ${code}`) && found.includes(message.join(' '))
}

function rejected(error: unknown): Line {
  const { code, message } = error as VelostreamError
  return `reject ${String(code).replace('ERR_VELO_', '')} ${message}`
}

async function start(
  scene: { definitions: string[] },
  partitions: number,
  clock: () => number,
): Promise<Velostream> {
  const engine = await open({ partitions, timestamps: 'number', clock })
  for (const sql of scene.definitions) await engine.exec(sql)
  return engine
}

function milliseconds(time: string): number {
  return values.input({ text: time, quoted: false }, 'TIMESTAMP') as number
}

/** Whether the scene can be run at a door. */
export function suits(scene: Scene, door: Door): boolean {
  const name = door.split(' ')[0] === 'batch' ? 'processor' : (door.split(' ')[0] ?? '')
  if (scene.only.length > 0 && !scene.only.includes(name)) return false
  if (name === 'engine') return scene.steps.length > 0
  const needsEngine = scene.steps.some((step) => step.head === 'all' || isData(step))
  const rejects = scene.steps.some((step) => step.expected.some(({ mark }) => mark === 'reject'))
  return scene.queries.length > 0 && !needsEngine && !(door === 'batch' && rejects)
}

export async function run(scene: Scene, door: Door): Promise<string[]> {
  switch (door) {
    case 'processor':
      return atProcessor(scene)
    case 'batch':
      return atBatches(scene)
    case 'engine 0':
      return atEngine(scene, 0)
    case 'engine 1':
      return atEngine(scene, 1)
    case 'engine 3':
      return atEngine(scene, 3)
  }
}

async function atProcessor(scene: Scene): Promise<string[]> {
  let now = 0
  const engine = await start(scene, 0, () => now)
  const wrong: string[] = []
  for (const query of scene.queries) {
    const processor = engine.processor<Row>(query.sql)
    for (const step of scene.steps) {
      if (step.head === 'clock') now = milliseconds(step.name)
      let found: Line[]
      try {
        found = applyStep(engine, processor, step).map((change) => show(change, processor.columns))
      } catch (error) {
        found = [rejected(error)]
      }
      wrong.push(...compare(step.line, found, expectedLines(step, query.name, processor.columns)))
    }
    processor.close()
    now = 0
  }
  await engine.close()
  return wrong
}

type Processor = ReturnType<typeof Velostream.prototype.processor<Row>>

function applyStep(engine: Velostream, processor: Processor, step: Item): Change<Row>[] {
  switch (step.head) {
    case 'record':
      return processor.process(step.name, rowOf(step, engine.stream(step.name).columns))
    case 'delete':
      return processor.delete(step.name, rowOf(step, keyColumns(engine, step.name)))
    case 'advance':
      return processor.advanceTime(milliseconds(step.name))
    case 'end':
      return processor.end()
    default:
      return []
  }
}

function keyColumns(engine: Velostream, relation: string): Column[] {
  return engine.stream(relation).columns.filter(({ key }) => key)
}

/** Records of one relation that follow each other are one batch; the changes are those of one by one. */
async function atBatches(scene: Scene): Promise<string[]> {
  const engine = await start(scene, 0, () => 0)
  const wrong: string[] = []
  for (const query of scene.queries) {
    const processor = engine.processor<Row>(query.sql)
    let batch: Item[] = []
    const runBatch = () => {
      const first = batch[0]
      if (first === undefined) return
      const columns = engine.stream(first.name).columns
      const changes = processor.processBatch(
        first.name,
        batch.map((step) => rowOf(step, columns)),
      )
      const found = changes.map((change) => show(change, processor.columns))
      const wanted = batch.flatMap((step) => expectedLines(step, query.name, processor.columns))
      wrong.push(...compare(first.line, found, wanted))
      batch = []
    }
    for (const step of scene.steps) {
      if (step.head !== 'record' || batch.some(({ name }) => name !== step.name)) runBatch()
      if (step.head === 'record') {
        batch.push(step)
        continue
      }
      const found = applyStep(engine, processor, step).map((change) => show(change, processor.columns))
      wrong.push(...compare(step.line, found, expectedLines(step, query.name, processor.columns)))
    }
    runBatch()
    processor.close()
  }
  await engine.close()
  return wrong
}

/** A query of a scene in a running engine, with what it has caused since the last step. */
interface Running {
  item: Item
  query: Query<Row>
  found: Line[]
  late: number
}

function observe(engine: Velostream, item: Item): Running {
  const query = engine.query<Row>(item.sql)
  const running: Running = { item, query, found: [], late: 0 }
  query.on('change', (change) => running.found.push(show(change, query.columns)))
  engine.on('late', (late) => {
    if (concerns(running, late.query)) running.late++
  })
  return running
}

/** Whether what happened in a query, or at the door, happened to this one or to a derived relation it reads. */
function concerns({ item, query }: Running, where: string | null): boolean {
  return where === null || where === query.id || item.sql.includes(where)
}

async function atEngine(scene: Scene, partitions: number): Promise<string[]> {
  let now = 0
  const engine = await start(scene, partitions, () => now)
  const wrong: string[] = []
  const running = scene.queries.map((item) => observe(engine, item))
  for (const step of scene.steps) {
    if (step.head === 'clock') now = milliseconds(step.name)
    const before = engine.metrics().deadLettersTotal
    const errors: Line[] = []
    try {
      wrong.push(...(await feed(engine, step)))
    } catch (error) {
      errors.push(rejected(error))
    }
    await engine.flush()
    const letters = engine.deadLetters().slice(-(engine.metrics().deadLettersTotal - before) || Infinity)
    for (const each of running) {
      const { item, query, found } = each
      const own = letters.filter((letter) => concerns(each, letter.query))
      const lines = [...found.splice(0), ...own.map(rejected), ...errors]
      wrong.push(...compare(step.line, lines, expectedLines(step, item.name, query.columns)))
    }
  }
  await new Promise((done) => setImmediate(done))
  for (const { item, late } of running) {
    const wanted = lateOf(scene, item.name)
    if (late !== wanted) wrong.push(`  query of line ${item.line}: expected ${wanted} late, found ${late}`)
  }
  for (const { query } of running) await query.close()
  await engine.close()
  return wrong
}

/** How many late records a scene names for a query. */
function lateOf(scene: Scene, query: string): number {
  const named = scene.steps.flatMap(({ expected }) => expected)
  return named.filter((expectation) => expectation.mark === 'late' && expectation.query === query).length
}

/** Gives a step to a running engine; the result is what a snapshot got wrong. */
async function feed(engine: Velostream, step: Item): Promise<string[]> {
  switch (step.head) {
    case 'record':
      await engine.insert(step.name, rowOf(step, engine.stream(step.name).columns))
      return []
    case 'delete':
      await engine.delete(step.name, rowOf(step, keyColumns(engine, step.name)))
      return []
    case 'statement':
      await engine.exec(step.sql)
      return []
    case 'advance':
      await engine.advanceTime(milliseconds(step.name))
      return []
    case 'end':
      await engine.end()
      return []
    case 'all':
      return snapshot(engine, step)
    default:
      return []
  }
}

/** Rows of a snapshot have no order. */
async function snapshot(engine: Velostream, step: Item): Promise<string[]> {
  const rows = await engine.all<Row>(step.sql)
  const processor = engine.processor(step.sql.replace(/\s+LIMIT\s+\d+$/, ''))
  const { columns } = processor
  processor.close()
  const found = rows.map((row) => show({ op: 'insert', row }, columns)).toSorted()
  return compare(step.line, found, expectedLines(step, '', columns).toSorted())
}

/** Checks that a text is refused with the first expected error. */
export async function refuse({ definitions, item }: Refusal): Promise<string[]> {
  const engine = await start({ definitions }, 0, () => 0)
  try {
    if (item.head === 'query') engine.processor(item.sql).close()
    else if (item.head === 'all') await engine.all(item.sql)
    else await engine.exec(item.sql)
    return [`  line ${item.line}: expected an error, it was accepted`]
  } catch (thrown) {
    const { code, line, column, hint, message } = thrown as VelostreamError
    const found = `${String(code).replace('ERR_VELO_', '')} ${line}:${column} ${message}`
    const wanted = item.expected.find(({ mark }) => mark === 'error')?.rest ?? ''
    const advice = item.expected.find(({ mark }) => mark === 'hint')?.rest
    const [wantedCode = '', place = ''] = wanted.split(' ')
    const fits = found.startsWith(wantedCode) && (place === '' || found.includes(` ${place} `))
    if (fits && (advice === undefined || hint?.includes(advice) === true)) return []
    return [`  line ${item.line}: expected ${wanted} ${advice ?? ''}\n    found ${found} ${hint ?? ''}`]
  } finally {
    await engine.close()
  }
}
