// The records of a case: what is inserted, replaced and deleted, one step each, and where it moves time.

import { Choices } from './choices.js'
import { SECOND_MICROS, sourceNamed, sources, streams } from './schema.js'
import type { Column, Source } from './schema.js'

export type Value = number | string | boolean | null
export type Row = { readonly [column: string]: Value }

/** A row for its source, or the key of the row that goes. */
export interface SourceRecord {
  readonly op: 'insert' | 'delete'
  readonly source: string
  readonly row: Row
}

/** One step: a record, or all watermarks moved by hand. Its place in the history is its number. */
export type Step = SourceRecord | { readonly op: 'advance'; readonly millis: number }

export type History = readonly Step[]

const NULL_PERCENT = 12

/** A value of a column; `clock` is about now, in seconds, for event times. */
function valueOf(choices: Choices, column: Column, source: Source, clock: number): Value {
  const { name, type } = column
  const isKey = source.key.includes(name)
  const required = isKey || type === 'TIMESTAMP'
  if (!required && choices.chance(NULL_PERCENT)) return null
  switch (type) {
    case 'STRING':
      return choices.pick(['a', 'b', 'c', 'Ab', ''])
    case 'INT':
      return isKey ? choices.between(1, 4) : choices.between(-4, 9)
    case 'BIGINT':
      return choices.between(-50, 150)
    case 'DOUBLE':
      // Quarters add up without rounding; tenths, which do not, stay positive so that no sum cancels out.
      return column.exact ? choices.between(-20, 40) / 4 : choices.between(1, 999) / 10
    case 'DECIMAL':
      return (choices.between(-500, 5000) / 100).toFixed(2)
    case 'BOOLEAN':
      return choices.below(2) === 1
    case 'TIMESTAMP':
      if (source.ordered === true) return clock * 1000
      return Math.max(0, clock * 1000 - choices.pick([0, 0, 0, 250, 1000, 1500, 3000, 9000]))
  }
}

/** The steps of a seed. Time goes on by seconds, at times by minutes; records come in some disorder. */
export function randomHistory(seed: number, most: number): History {
  const choices = Choices.fromSeed(seed)
  const length = choices.between(most >> 2, most)
  // A few histories hold many records of few sources, most hold some of each.
  const used = choices.some(sources, 3, sources.length)
  const steps: Step[] = []
  let clock = choices.below(20)
  while (steps.length < length) {
    clock += choices.pick([0, 0, 1, 1, 2, 3, 5, choices.chance(10) ? 70 : 4])
    if (choices.chance(4)) {
      steps.push({ op: 'advance', millis: clock * 1000 })
      continue
    }
    const source = choices.pick(used)
    const row = Object.fromEntries(
      source.columns.map((column) => [column.name, valueOf(choices, column, source, clock)]),
    )
    const op = source.key.length > 0 && choices.chance(25) ? 'delete' : 'insert'
    steps.push({ op, source: source.name, row: op === 'delete' ? keyOf(source, row) : row })
  }
  return steps
}

function keyOf(source: Source, row: Row): Row {
  return Object.fromEntries(source.key.map((name) => [name, row[name] ?? null]))
}

/** A row of a source with the steps between which it stands: from `from` on, before `to`. */
export interface Version {
  readonly from: number
  readonly to: number
  readonly row: Row
}

/** The rows of a source over a history; steps count from 1. Of a stream, every row stays. */
export function versions(history: History, source: Source): Version[] {
  const all: { from: number; to: number; row: Row }[] = []
  const current = new Map<string, { to: number }>()
  history.forEach((record, at) => {
    if (record.op === 'advance' || record.source !== source.name) return
    const { op, row } = record
    const step = at + 1
    if (source.key.length > 0) {
      const key = JSON.stringify(keyOf(source, row))
      const old = current.get(key)
      if (old !== undefined) old.to = step
      current.delete(key)
      if (op === 'delete') return
      const version = { from: step, to: Infinity, row }
      current.set(key, version)
      all.push(version)
      return
    }
    all.push({ from: step, to: Infinity, row })
  })
  return all
}

/** Before any record of its source, a watermark is before everything; at end of input it is past everything. */
export const BEFORE_MICROS = -1_000_000_000_000_000
export const AFTER_MICROS = 1_000_000_000_000_000
/** Before that, however far a watermark is held back: of what can never change. */
export const ALWAYS_MICROS = 2 * BEFORE_MICROS

/** The watermark of each stream after each step: entry 0 is before the first, the last is at end of input. */
export function watermarks(history: History): { [stream: string]: number[] } {
  return Object.fromEntries(
    streams.map(({ name, boundMicros }) => {
      const marks = [BEFORE_MICROS]
      for (const step of history) {
        const last = marks.at(-1) ?? BEFORE_MICROS
        if (step.op === 'advance') marks.push(Math.max(last, step.millis * 1000))
        else if (step.source === name) marks.push(Math.max(last, Number(step.row['t']) * 1000 - boundMicros))
        else marks.push(last)
      }
      return [name, [...marks, AFTER_MICROS]]
    }),
  )
}

/** A step as a line of a report: what is NULL is left out. */
export function describeStep(step: Step): string {
  if (step.op === 'advance') return `advance to ${step.millis / 1000} s`
  const { op, source, row } = step
  const { columns } = sourceNamed(source)
  const shown = columns
    .filter(({ name }) => row[name] !== null && row[name] !== undefined)
    .map(({ name, type }) => {
      const value = row[name] as Value
      const seconds = type === 'TIMESTAMP' ? ` /* ${(Number(value) * 1000) / SECOND_MICROS} s */` : ''
      return `${name}: ${JSON.stringify(value)}${seconds}`
    })
  return `${op} ${source} { ${shown.join(', ')} }`
}
