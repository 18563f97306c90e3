// Scalar expressions, conditions and aggregate calls, each in both texts.
//
// Nothing here fails for a record: divisors are constants, products are small, and CASTs always succeed.
// Record errors have tests of their own.

import type { Choices } from './choices.js'
import type { Column, Type } from './schema.js'

/** An expression in both texts; most have the same in both. */
export interface Expression {
  readonly velo: string
  readonly duck: string
  readonly type: Type
  readonly exact: boolean
  readonly scale?: number
}

/** A constant, where no column will do. */
export const one: Expression = { velo: '1', duck: '1', type: 'INT', exact: true }

/** The columns that expressions may use, as they are called there. */
export type Scope = readonly Expression[]

export function scopeOf(columns: readonly Column[], alias?: string): Scope {
  return columns.map(({ name, ...known }) => {
    const text = alias === undefined ? name : `${alias}.${name}`
    return { velo: text, duck: text, ...known }
  })
}

/** The column that an expression becomes under a name. */
export function columnOf({ type, exact, scale }: Expression, name: string): Column {
  return scale === undefined ? { name, type, exact } : { name, type, exact, scale }
}

/** An expression whose text is made of those of others in the same way in both systems. */
function made(
  known: Omit<Expression, 'velo' | 'duck'>,
  parts: Expression[],
  text: (...parts: string[]) => string,
) {
  const velo = text(...parts.map((part) => part.velo))
  return { ...known, velo, duck: text(...parts.map((part) => part.duck)) }
}

function literal(choices: Choices, type: Type): string {
  switch (type) {
    case 'INT':
    case 'BIGINT':
      return String(choices.between(0, 6))
    case 'DOUBLE':
      return (choices.between(0, 24) / 4).toFixed(2)
    case 'DECIMAL':
      return (choices.between(0, 3000) / 100).toFixed(2)
    case 'STRING':
      return choices.pick([`'a'`, `'b'`, `'Ab'`, `''`])
    case 'BOOLEAN':
      return choices.pick(['FALSE', 'TRUE'])
    case 'TIMESTAMP':
      return `TIMESTAMP '1970-01-01 00:00:${String(choices.between(0, 59)).padStart(2, '0')}'`
  }
}

function number(choices: Choices, operand: Expression): Expression {
  const same = { type: operand.type, exact: operand.exact }
  const whole = operand.type !== 'DOUBLE'
  const constant = choices.between(1, 5)
  return choices.pick([
    () => made(same, [operand], (a) => `${a} + ${constant}`),
    () => made(same, [operand], (a) => `${a} - 1`),
    () => made(same, [operand], (a) => `${a} * 2`),
    () => made(same, [operand], (a) => `-${a}`),
    () => made(same, [operand], (a) => `ABS(${a})`),
    () => made(same, [operand], (a) => `COALESCE(${a}, 0)`),
    () => (whole ? made(same, [operand], (a) => `${a} % 3`) : operand),
    () => (whole ? { ...same, velo: `${operand.velo} / 2`, duck: `${operand.duck} // 2` } : operand),
    () => made({ type: 'DOUBLE', exact: operand.exact }, [operand], (a) => `CAST(${a} AS DOUBLE)`),
  ])()
}

/** An expression over one column, or over two of one type. */
export function scalar(choices: Choices, scope: Scope): Expression {
  const operand = choices.pick(scope)
  if (choices.chance(15)) {
    const type = operand.type
    const other = choices.pick(scope.filter((each) => each.type === type && each.scale === operand.scale))
    const test = condition(choices, scope, 1)
    const known = { ...operand, exact: operand.exact && other.exact }
    return made(known, [test, operand, other], (c, a, e) => `CASE WHEN ${c} THEN ${a} ELSE ${e} END`)
  }
  switch (operand.type) {
    case 'INT':
    case 'BIGINT':
    case 'DOUBLE':
      return number(choices, operand)
    case 'DECIMAL':
      return made(operand, [operand], (a) => `COALESCE(${a}, 0.00)`)
    case 'STRING':
      return choices.pick([
        () => made(operand, [operand], (a) => `UPPER(${a})`),
        () => made(operand, [operand], (a) => `${a} || 'z'`),
        () =>
          made({ type: 'BIGINT' as const, exact: true }, [operand], (a) => `CAST(LENGTH(${a}) AS BIGINT)`),
        () => made(operand, [operand], (a) => `COALESCE(${a}, '-')`),
      ])()
    case 'BOOLEAN':
      return made(operand, [operand], (a) => `(NOT ${a})`)
    case 'TIMESTAMP':
      return made(operand, [operand], (a) => `${a} + INTERVAL '1' SECOND`)
  }
}

const COMPARISONS = ['>', '=', '<>', '<', '<=', '>=', 'IS DISTINCT FROM']

/** A comparison of an exact column with a constant. */
function comparison(choices: Choices, operand: Expression): Expression {
  const { type } = operand
  const constant = () => literal(choices, type)
  const known = { type: 'BOOLEAN' as const, exact: true }
  const sign = choices.pick(COMPARISONS)
  const plain = (): Expression => made(known, [operand], (a) => `${a} ${sign} ${value}`)
  const value = constant()
  const isNull = choices.pick(['NOT NULL', 'NULL'])
  return choices.pick([
    plain,
    plain,
    plain,
    () => made(known, [operand], (a) => `${a} IS ${isNull}`),
    () => {
      const list = [value, constant()].join(', ')
      return made(known, [operand], (a) => `${a} IN (${list})`)
    },
    () => {
      const [least, most] = [value, constant()]
      return made(known, [operand], (a) => `${a} BETWEEN ${least} AND ${most}`)
    },
    () => (type === 'STRING' ? made(known, [operand], (a) => `${a} LIKE 'a%'`) : plain()),
  ])()
}

/** A condition over the exact columns of a scope; TRUE where it has none. */
export function condition(choices: Choices, scope: Scope, depth: number): Expression {
  const known = { type: 'BOOLEAN' as const, exact: true }
  const exact = scope.filter((each) => each.exact)
  if (exact.length === 0) return { ...known, velo: 'TRUE', duck: 'TRUE' }
  if (depth > 0 && choices.chance(30)) {
    const [left, right] = [condition(choices, scope, depth - 1), condition(choices, scope, depth - 1)]
    const word = choices.pick(['AND', 'OR'])
    return made(known, [left, right], (a, e) => `(${a} ${word} ${e})`)
  }
  const test = comparison(choices, choices.pick(exact))
  return choices.chance(15) ? made(known, [test], (a) => `NOT (${a})`) : test
}

/** What stands behind an aggregate's parentheses. */
export interface Suffix {
  /** In DuckDB's text only rows for which this holds are counted. */
  readonly present?: string
  readonly over?: { readonly velo: string; readonly duck: string }
}

/** An aggregate call. */
export function aggregate(choices: Choices, scope: Scope, { present, over }: Suffix = {}): Expression {
  const filter = choices.chance(20) ? condition(choices, scope, 0) : undefined
  const kept = [present, filter?.duck].filter((part) => part !== undefined).join(' AND ')
  const suffix = {
    velo: (filter === undefined ? '' : ` FILTER (WHERE ${filter.velo})`) + (over?.velo ?? ''),
    duck: (kept === '' ? '' : ` FILTER (WHERE ${kept})`) + (over?.duck ?? ''),
  }
  const call = (name: string, of: Expression, distinct = '') => ({
    velo: `${name}(${distinct}${of.velo})${suffix.velo}`,
    duck: `${name}(${distinct}${of.duck})${suffix.duck}`,
  })
  const count = { type: 'BIGINT' as const, exact: true }
  const every = { velo: '*', duck: '*', ...count }
  const kind = choices.pick(['*', '*', 'COUNT', 'SUM', 'SUM', 'AVG', 'MIN', 'MAX', 'DISTINCT'])
  if (kind === '*' || scope.length === 0) return { ...count, ...call('COUNT', every) }
  const of = choices.pick(scope)
  if (kind === 'DISTINCT' && of.exact) return { ...count, ...call('COUNT', of, 'DISTINCT ') }
  if ((kind === 'MIN' || kind === 'MAX') && of.type !== 'BOOLEAN') return { ...of, ...call(kind, of) }
  if (kind === 'SUM' || kind === 'AVG') {
    const distinct = of.exact && choices.chance(15) ? 'DISTINCT ' : ''
    const found = kind === 'SUM' ? sum(of, call, distinct) : average(of, call, distinct)
    if (found !== undefined) return found
  }
  return { ...count, ...call('COUNT', of) }
}

type Call = (name: string, of: Expression, distinct?: string) => { velo: string; duck: string }

/** DuckDB sums whole numbers as HUGEINT and decimals with 38 digits: both leave no room for further sums. */
function sum(of: Expression, call: Call, distinct: string): Expression | undefined {
  const { velo, duck } = call('SUM', of, distinct)
  if (of.type === 'INT' || of.type === 'BIGINT') {
    return { type: 'BIGINT', exact: true, velo, duck: `CAST(${duck} AS BIGINT)` }
  }
  if (of.type === 'DOUBLE') return { type: 'DOUBLE', exact: of.exact, velo, duck }
  if (of.type !== 'DECIMAL') return undefined
  const scale = of.scale ?? 0
  return { type: 'DECIMAL', exact: true, scale, velo, duck: `CAST(${duck} AS DECIMAL(24, ${scale}))` }
}

/** DuckDB's mean of decimals is a DOUBLE; `decimal_mean` is exact to six more digits, half up. */
function average(of: Expression, call: Call, distinct: string): Expression | undefined {
  const { velo, duck } = call('AVG', of, distinct)
  // Even over exact values a mean may differ in its last digit.
  if (of.type === 'INT' || of.type === 'BIGINT' || of.type === 'DOUBLE') {
    return { type: 'DOUBLE', exact: false, velo, duck }
  }
  if (of.type !== 'DECIMAL' || of.scale !== 2) return undefined
  const mean = `decimal_mean(${call('SUM', of, distinct).duck}, ${call('COUNT', of, distinct).duck})`
  return { type: 'DECIMAL', exact: true, scale: 8, velo, duck: mean }
}
