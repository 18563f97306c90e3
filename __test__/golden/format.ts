// Reads golden files; docs/golden.md describes the format. The Rust runner has the same rules.

export interface Word {
  text: string
  quoted: boolean
}

export interface Expectation {
  line: number
  /** The query that it is about; empty where there is one only. */
  query: string
  mark: string
  /** What stands behind the mark, without a comment. */
  rest: string
}

export interface Item {
  line: number
  head: 'only' | 'statement' | 'query' | 'all' | 'record' | 'delete' | 'advance' | 'clock' | 'end'
  /** The query's name, the relation, or the time. */
  name: string
  words: Word[]
  sql: string
  expected: Expectation[]
}

/** Queries and the input that they see; definitions stay from scene to scene. */
export interface Scene {
  line: number
  /** The runners that it is for; none named means all. */
  only: string[]
  definitions: string[]
  queries: Item[]
  steps: Item[]
}

/** A text that is to be refused, with the definitions that stand above it. */
export interface Refusal {
  definitions: string[]
  item: Item
}

const MARKS = new Set(['+', '-', '~', 'late', 'reject', 'error', 'hint', 'columns', 'key'])

/** Words are separated by spaces, `'a b'` is one with `''` for a quote, `#` begins a comment. */
export function words(text: string): Word[] {
  const found: Word[] = []
  const pattern = /\s*(?:(#.*)|'((?:[^']|'')*)'|(\S+))/y
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, comment, quoted, bare] = match
    if (comment !== undefined) break
    if (quoted !== undefined) found.push({ text: quoted.replaceAll("''", "'"), quoted: true })
    else if (bare !== undefined) found.push({ text: bare, quoted: false })
  }
  return found
}

function isMark(trimmed: string): boolean {
  const [first = '', second = ''] = trimmed.split(' ')
  return MARKS.has(first) || (/^[a-z_]+$/.test(first) && MARKS.has(second))
}

function continues(line: string, ofStatement: boolean): boolean {
  if (line.startsWith(' ')) return line.trim() !== '' && !isMark(line.trim())
  return !ofStatement && line !== '' && !/^[#a-z]/.test(line)
}

function expectation(line: number, text: string): Expectation {
  let rest = text.trim()
  if (!isMark(rest)) throw new Error(`line ${line} is no expectation`)
  let query = ''
  if (!MARKS.has(rest.split(' ')[0] ?? '')) {
    query = rest.split(' ')[0] ?? ''
    rest = rest.slice(query.length).trim()
  }
  const mark = rest.split(' ')[0] ?? ''
  return { line, query, mark, rest: rest.slice(mark.length).trim() }
}

function directive(line: number, text: string, head: string, sql: string): Item {
  const base = { line, sql, expected: [], words: [] as Word[], name: '' }
  if (/^[A-Z]+$/.test(head)) return { ...base, head: 'statement' }
  const rest = words(text).slice(1)
  switch (head) {
    case 'only':
    case 'end':
    case 'all':
      return { ...base, head, words: rest }
    case 'query':
    case 'advance':
    case 'clock':
      return { ...base, head, name: rest[0]?.text ?? '' }
    case 'delete':
      return { ...base, head, name: rest[0]?.text ?? '', words: rest.slice(1) }
    default:
      return { ...base, head: 'record', name: head, words: rest }
  }
}

export function parse(text: string): Item[] {
  const lines = text.split('\n')
  const items: Item[] = []
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.trim() === '' || line.startsWith('#')) continue
    if (line.startsWith(' ')) {
      items.at(-1)?.expected.push(expectation(at + 1, line))
      continue
    }
    const start = at
    const head = line.split(' ')[0] ?? ''
    const isStatement = /^[A-Z]+$/.test(head)
    const sql = isStatement ? [line] : []
    if (isStatement || head === 'query' || head === 'all')
      while (continues(lines[at + 1] ?? '', isStatement)) sql.push(lines[++at] ?? '')
    items.push(directive(start + 1, line, head, sql.join('\n')))
  }
  return items
}

/** Whether a statement changes rows rather than definitions. */
export function isData(item: Item): boolean {
  return (
    item.head === 'statement' && /^(INSERT|UPDATE|DELETE)\b/.test(item.sql) && !item.sql.includes('SELECT')
  )
}

function isStep(item: Item): boolean {
  return isData(item) || !['only', 'query', 'statement'].includes(item.head)
}

export function scenes(items: Item[]): { scenes: Scene[]; refusals: Refusal[] } {
  const definitions: string[] = []
  const [found, refusals]: [Scene[], Refusal[]] = [[], []]
  let scene: Scene | undefined
  for (const item of items) {
    if (item.expected.some(({ mark }) => mark === 'error')) {
      refusals.push({ definitions: [...definitions], item })
      continue
    }
    const step = isStep(item)
    if (scene === undefined || (!step && scene.steps.length > 0)) {
      scene = { line: item.line, only: [], definitions: [], queries: [], steps: [] }
      found.push(scene)
    }
    if (step) scene.steps.push(item)
    else if (item.head === 'query') scene.queries.push(item)
    else if (item.head === 'only') scene.only = item.words.map(({ text: word }) => word)
    else definitions.push(item.sql)
    scene.definitions = [...definitions]
  }
  return { scenes: found, refusals }
}
