// A scenario's records in every form in which a door takes them.
//
// `prepare` makes those of one form before any clock runs; a heap that holds the others as well makes every collection
// of garbage longer. `stream` makes them on the way and keeps nothing, for runs whose memory is measured.

import { relationsOf } from './contender.js'
import type { Scenario, Values } from './scenarios.js'

export const BATCH_ROWS = 1000
const CHUNK_BYTES = 64 * 1024

/** Neighbouring records of one relation, as rows or as bytes; `source` is its place, 0 or 1. */
export interface Part<T> {
  readonly relation: string
  readonly source: number
  readonly content: T
}

/** What a contender reads: ready objects, NDJSON in chunks, or a Buffer for each record. */
export type Form = 'objects' | 'chunks' | 'messages'

export interface Input {
  readonly count: number
  readonly records: Iterable<Values>
  readonly batches: Iterable<Part<Values[]>>
  /** NDJSON, cut anywhere. */
  readonly chunks: Iterable<Part<Buffer>>
  /** One record each, as a Kafka client gives them. */
  readonly messages: Iterable<Part<Buffer>>
}

export function stream(scenario: Scenario, count: number): Input {
  const again = <T>(make: (scenario: Scenario, count: number) => Iterable<T>): Iterable<T> => ({
    [Symbol.iterator]: () => make(scenario, count)[Symbol.iterator](),
  })
  return {
    count,
    records: again(recordsOf),
    batches: again(batchesOf),
    chunks: again(chunksOf),
    messages: again(messagesOf),
  }
}

export function prepare(scenario: Scenario, count: number, form: Form): Input {
  const streamed = stream(scenario, count)
  if (form === 'chunks') return { ...streamed, chunks: [...streamed.chunks] }
  if (form === 'messages') return { ...streamed, messages: [...streamed.messages] }
  const records = [...streamed.records]
  return { ...streamed, records, batches: [...batchesOf(scenario, count, records)] }
}

function* recordsOf(scenario: Scenario, count: number): Generator<Values> {
  for (let i = 0; i < count; i++) yield scenario.record(i)
}

/** With two relations each batch has every other record. */
function* batchesOf(scenario: Scenario, count: number, records?: Values[]): Generator<Part<Values[]>> {
  const relations = relationsOf(scenario)
  const rows = BATCH_ROWS * relations.length
  for (let at = 0; at < count; at += rows) {
    const length = Math.min(rows, count - at)
    const some = records?.slice(at, at + length) ?? Array.from({ length }, (_, i) => scenario.record(at + i))
    for (const [source, relation] of relations.entries()) {
      const content = relations.length === 1 ? some : some.filter((_, i) => i % relations.length === source)
      yield { relation, source, content }
    }
  }
}

function linesOf(rows: Values[]): Buffer[] {
  return rows.map((record) => Buffer.from(`${JSON.stringify(record)}\n`, 'latin1'))
}

function* chunksOf(scenario: Scenario, count: number): Generator<Part<Buffer>> {
  const rests = relationsOf(scenario).map((): Buffer => Buffer.alloc(0))
  for (const { relation, source, content } of batchesOf(scenario, count)) {
    const bytes = Buffer.concat([rests[source] as Buffer, ...linesOf(content)])
    let at = 0
    for (; bytes.length - at >= CHUNK_BYTES; at += CHUNK_BYTES)
      yield { relation, source, content: bytes.subarray(at, at + CHUNK_BYTES) }
    rests[source] = bytes.subarray(at)
  }
  for (const [source, relation] of relationsOf(scenario).entries()) {
    const rest = rests[source] as Buffer
    if (rest.length > 0) yield { relation, source, content: rest }
  }
}

/** In the order of the records, each a part of the bytes of many, without the line's end. */
function* messagesOf(scenario: Scenario, count: number): Generator<Part<Buffer>> {
  const sources = relationsOf(scenario).length
  let side: Part<Buffer[]>[] = []
  for (const part of batchesOf(scenario, count)) {
    side.push({ ...part, content: cut(part.content) })
    if (side.length < sources) continue
    for (let i = 0; i < (side[0]?.content.length ?? 0); i++) {
      for (const { relation, source, content } of side) {
        const bytes = content[i]
        if (bytes !== undefined) yield { relation, source, content: bytes }
      }
    }
    side = []
  }
}

function cut(rows: Values[]): Buffer[] {
  const lines = linesOf(rows)
  const all = Buffer.concat(lines)
  let at = 0
  return lines.map((line) => {
    const message = all.subarray(at, at + line.length - 1)
    at += line.length
    return message
  })
}
