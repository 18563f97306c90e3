/**
 * Cuts a text into statements at its semicolons and says how each is run.
 *
 * It knows quotes and comments and each statement's first word, nothing else of SQL. A statement keeps its
 * place: what stands before it becomes blanks, so that an error's line and column are those of the text.
 */

export interface Statement {
  sql: string
  /** `command` changes definitions or rows, `rows` answers at once, `query` runs to the end of its inputs. */
  kind: 'command' | 'rows' | 'query'
}

/** What holds no semicolon that ends a statement: quoted text, names and comments, closed or not. */
const opaque = /'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)|--[^\n]*|\/\*/y

interface Part {
  from: number
  to: number
  kind: Statement['kind']
  writes: boolean
}

/**
 * Neighbouring commands stay together, so that all of them are checked before the first one runs. A SELECT
 * that rows are written after cannot run to the end of its inputs: it answers at once, from what is there.
 */
export function splitStatements(text: string): Statement[] {
  const parts: Part[] = []
  let from = 0
  for (const to of ends(text)) {
    const word = firstWord(text.slice(from, to))
    if (word !== '') addPart(parts, { from, to, kind: kindOf(word), writes: writers.has(word) })
    from = to + 1
  }
  const lastWrite = parts.findLastIndex(({ writes }) => writes)
  return parts.map(({ from: start, to, kind }, index) => ({
    sql: blank(text.slice(0, start)) + text.slice(start, to),
    kind: kind === 'query' && index < lastWrite ? 'rows' : kind,
  }))
}

function addPart(parts: Part[], part: Part): void {
  const last = parts.at(-1)
  if (part.kind === 'command' && last?.kind === 'command') {
    last.to = part.to
    last.writes ||= part.writes
  } else {
    parts.push(part)
  }
}

/** The places of the semicolons between statements, and the end of the text. */
function* ends(text: string): Generator<number> {
  let at = 0
  while (at < text.length) {
    opaque.lastIndex = at
    const found = opaque.exec(text)?.[0]
    if (found === '/*') {
      at = endOfComment(text, at)
    } else if (found !== undefined) {
      at += found.length
    } else {
      if (text[at] === ';') yield at
      at += 1
    }
  }
  yield text.length
}

/** Block comments nest, as in PostgreSQL. */
function endOfComment(text: string, start: number): number {
  const marks = /\/\*|\*\//g
  marks.lastIndex = start
  let depth = 0
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return marks.lastIndex
  }
  return text.length
}

function firstWord(body: string): string {
  let rest = body.trimStart()
  while (rest.startsWith('--') || rest.startsWith('/*')) {
    const end = rest.startsWith('/*') ? endOfComment(rest, 0) : rest.indexOf('\n')
    rest = end < 0 ? '' : rest.slice(end).trimStart()
  }
  return /^(?:\w+|.)/u.exec(rest)?.[0].toUpperCase() ?? ''
}

const writers = new Set(['INSERT', 'UPDATE', 'DELETE'])

function kindOf(word: string): Statement['kind'] {
  if (['SELECT', 'WITH', 'VALUES', '('].includes(word)) return 'query'
  return ['SHOW', 'DESCRIBE', 'DESC', 'EXPLAIN'].includes(word) ? 'rows' : 'command'
}

function blank(text: string): string {
  return text.replace(/[^\n]/gu, ' ')
}
