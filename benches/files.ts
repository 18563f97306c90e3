// The scenarios' records as files, and the SQL that runs over them by the command line.

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { relationsOf } from './contender.js'
import type { Input } from './input.js'
import type { Scenario, Values } from './scenarios.js'
import { lineOf } from './stations.js'

/** Lines of a text file that are written at a time. */
const LINES = 10_000

/** One scenario's files. */
export interface Written {
  /** Of each of its relations. */
  readonly paths: string[]
  /** Declarations, the rows that are there before, and the query. */
  readonly script: string
}

/** Files in a directory of their own, written when they are first asked for. */
export class Files implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'velostream-bench-'))
  readonly #written = new Map<string, Written>()

  of(scenario: Scenario, input: Input): Written {
    const name = `${scenario.id}-${input.count}`
    let written = this.#written.get(name)
    if (written === undefined) this.#written.set(name, (written = this.#write(scenario, input, name)))
    return written
  }

  #write(scenario: Scenario, input: Input, name: string): Written {
    const paths = relationsOf(scenario).map((relation) => join(this.#directory, `${name}-${relation}`))
    const files = paths.map((path) => openSync(path, 'w'))
    if (scenario.fileOptions === undefined)
      for (const { source, content } of input.chunks) writeSync(files[source] as number, content)
    else writeLines(files[0] as number, input.count)
    for (const file of files) closeSync(file)
    const script = join(this.#directory, `${name}.sql`)
    writeFileSync(script, textOf(scenario, paths))
    return { paths, script }
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true })
  }
}

function writeLines(file: number, count: number): void {
  for (let from = 0; from < count; from += LINES) {
    const lines = Array.from({ length: Math.min(LINES, count - from) }, (_, i) => lineOf(from + i))
    writeSync(file, lines.join(''))
  }
}

/** The statements; every stream of the definition reads its file. */
function textOf({ definition, fileOptions, before, sql, ...scenario }: Scenario, paths: string[]): string {
  const relations = relationsOf({ definition, sql, ...scenario })
  const declarations = definition.split(';').map((text) => {
    const at = relations.findIndex((relation) => text.includes(`CREATE STREAM ${relation} `))
    if (at < 0) return text
    return `${text} WITH (connector = 'file', path = '${paths[at]}', ${fileOptions ?? "format = 'json'"})`
  })
  const rows =
    before === undefined
      ? []
      : [`INSERT INTO ${before.relation} VALUES ${before.rows().map(tuple).join(', ')}`]
  return `${[...declarations, ...rows, sql].join(';\n')};\n`
}

function tuple(row: Values): string {
  return `(${Object.values(row)
    .map((value) => (typeof value === 'string' ? `'${value}'` : value))
    .join(', ')})`
}
