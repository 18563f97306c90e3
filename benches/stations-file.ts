// Contenders over the text file of s5: the same lines in JavaScript, and in DuckDB with so many threads.

import { closeSync, openSync, readSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { secondsSince } from './contender.js'
import type { Contender } from './contender.js'
import type { Files } from './files.js'
import type { Rival, Values } from './scenarios.js'

const CHUNK_BYTES = 1 << 20
const NEWLINE = 10
const SEMICOLON = 59
const MINUS = 45
const ZERO = 48

/** The file in chunks that end with a line; the bytes are reused. */
function* chunksOf(path: string): Generator<Buffer> {
  const file = openSync(path, 'r')
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let rest = 0
  for (;;) {
    const read = readSync(file, buffer, rest, CHUNK_BYTES - rest, null)
    if (read === 0) break
    const end = buffer.lastIndexOf(NEWLINE, rest + read - 1) + 1
    yield buffer.subarray(0, end)
    buffer.copyWithin(0, end, rest + read)
    rest = rest + read - end
  }
  closeSync(file)
}

function idiomaticLines(chunk: Buffer, take: (record: Values) => void): void {
  for (const line of chunk.toString('latin1').trimEnd().split('\n')) {
    const [station = '', t] = line.split(';')
    take({ station, t: Number(t) })
  }
}

/** Knows that names are short and that every number has one decimal; texts are interned by a hash. */
function tunedLines(): (chunk: Buffer, take: (record: Values) => void) => void {
  const names = new Map<number, string>()
  const record: { station: string; t: number } = { station: '', t: 0 }
  return (chunk, take) => {
    let at = 0
    while (at < chunk.length) {
      const start = at
      let hash = 0
      let byte = chunk[at] as number
      while (byte !== SEMICOLON) {
        hash = (Math.imul(hash, 31) + byte) | 0
        byte = chunk[++at] as number
      }
      let station = names.get(hash)
      if (station === undefined) names.set(hash, (station = chunk.toString('latin1', start, at)))
      const negative = chunk[at + 1] === MINUS
      at += negative ? 2 : 1
      let tenths = (chunk[at++] as number) - ZERO
      while ((byte = chunk[at++] as number) >= ZERO) tenths = tenths * 10 + (byte - ZERO)
      tenths = tenths * 10 + ((chunk[at] as number) - ZERO)
      at += 2
      record.station = station
      record.t = (negative ? -tenths : tenths) / 10
      take(record)
    }
  }
}

function overText(
  name: string,
  files: Files,
  rivalOf: (scenario: { idiomatic(): Rival; tuned(): Rival }) => Rival,
  linesOf: () => (chunk: Buffer, take: (record: Values) => void) => void,
): Contender {
  return {
    name,
    compared: 'tally',
    async run(scenario, input, _take, tally) {
      const [path] = files.of(scenario, input).paths
      const rival = rivalOf(scenario)
      const lines = linesOf()
      const started = performance.now()
      for (const chunk of chunksOf(path as string)) lines(chunk, (record) => rival.process(record, tally, 0))
      rival.end(tally)
      return secondsSince(started)
    },
  }
}

/** DuckDB's own reading of the file, the types given. */
function duck(files: Files, threads: number): Contender {
  return {
    name: `DuckDB, ${threads} thread${threads === 1 ? '' : 's'}`,
    compared: 'tally',
    shows: true,
    async run(scenario, input, take, tally) {
      const [path] = files.of(scenario, input).paths
      const connection = await (await DuckDBInstance.create(':memory:')).connect()
      await connection.run(`SET threads = ${threads}`)
      const started = performance.now()
      const answer =
        await connection.runAndReadAll(`SELECT station, MIN(t) AS lo, AVG(t) AS mean, MAX(t) AS hi
        FROM read_csv('${path}', delim = ';', header = false, columns = {'station': 'VARCHAR', 't': 'DOUBLE'})
        GROUP BY station`)
      const rows = answer.getRowObjectsJS() as Values[]
      const taken = secondsSince(started)
      connection.closeSync()
      for (const row of rows) {
        take?.(row)
        tally.changes++
        tally.checksum += scenario.weight(row)
      }
      return taken
    },
  }
}

export function ducks(files: Files, threads: readonly number[]): Contender[] {
  return threads.map((count) => duck(files, count))
}

export function textRivals(files: Files): Contender[] {
  return [
    overText(
      'idiomatic, text',
      files,
      (scenario) => scenario.idiomatic(),
      () => idiomaticLines,
    ),
    overText('tuned, text', files, (scenario) => scenario.tuned(), tunedLines),
  ]
}
