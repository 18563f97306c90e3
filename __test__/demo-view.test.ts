import test from 'ava'
import { dayLine, standingLine, TerminalView, worst } from '../scripts/demo/view.js'
import type { Standing } from '../scripts/demo/flights.js'

const standing = (origin: string, mean_delay: number): Standing => ({ origin, flights: 1234, mean_delay })
const standings = (...all: Standing[]) => new Map(all.map((each) => [each.origin, each]))

test('the worst come first, equal ones by name, ten at most', (t) => {
  const all = standings(standing('B', 2), standing('C', 5), standing('A', 2))
  t.deepEqual(
    worst(all).map(({ origin }) => origin),
    ['C', 'A', 'B'],
  )
  t.is(worst(standings(...Array.from({ length: 12 }, (_, index) => standing(`${index}`, index)))).length, 10)
})

test('lines', (t) => {
  const airports = new Map([['ORD', { iata: 'ORD', city: 'Chicago', state: 'IL' }]])
  t.is(
    standingLine(standing('ORD', 12.34), airports),
    '  ORD  Chicago, IL                  1,234 flights   12.3 min',
  )
  t.is(
    standingLine(standing('XXX', -1), airports),
    '  XXX                               1,234 flights   -1.0 min',
  )
  t.is(
    dayLine({ day: new Date(0), flights: 200, mean_delay: 7, worst_delay: 99, delayed: 20 }),
    '  1970-01-01 200 flights  20 delayed  mean   7.0 min  worst   99 min',
  )
})

test('a screenful is drawn over the one before it, and no line wraps', (t) => {
  const written: string[] = []
  const stream = { columns: 40, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  const view = new TerminalView(stream)
  const totals = { records: 1, changes: 1, seconds: 1, partitions: [] }
  view.standings(standings(standing('A', 1)), 0.5)
  view.done(standings(standing('A', 1), standing('B', 2)), totals)
  const [first = '', second = ''] = written
  t.true(first.startsWith('US flights'))
  t.true(second.startsWith(`\u001b[${first.split('\n').length - 1}AUS flights`))
  for (const line of first.split('\n').slice(0, -1)) t.true(line.replace('\u001b[K', '').length < 40)
})
