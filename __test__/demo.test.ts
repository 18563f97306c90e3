import { readFileSync } from 'node:fs'
import test from 'ava'
import { replay, type Airport, type Day, type Standing, type Totals } from '../scripts/demo/flights.js'
import { PlainView, worst } from '../scripts/demo/view.js'

interface Flight {
  date: string
  delay: number
  origin: string
}
const flights: Flight[] = JSON.parse(readFileSync('node_modules/vega-datasets/data/flights-20k.json', 'utf8'))

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function delaysBy(key: (flight: Flight) => string): [string, number[]][] {
  const delays = new Map<string, number[]>()
  for (const flight of flights) delays.set(key(flight), [...(delays.get(key(flight)) ?? []), flight.delay])
  return [...delays]
}

test("the demonstration's figures equal an independent computation", async (t) => {
  const seen = { airports: new Map<string, Airport>(), days: [] as Day[], lines: [] as string[] }
  const last: { standings?: ReadonlyMap<string, Standing>; totals?: Totals } = {}
  const plain = new PlainView((line) => seen.lines.push(line))
  await replay({
    airports: (airports) => {
      for (const [iata, airport] of airports) seen.airports.set(iata, airport)
      plain.airports(airports)
    },
    standings: () => plain.standings(),
    days: (days) => {
      seen.days.push(...days)
      plain.days(days)
    },
    done: (standings, totals) => {
      Object.assign(last, { standings, totals })
      plain.done(standings, totals)
    },
  })

  const expectedDays = delaysBy(({ date }) => date.slice(0, 10)).map(([date, delays]) => ({
    day: new Date(`${date.replaceAll('/', '-')}T00:00:00Z`),
    flights: delays.length,
    mean_delay: mean(delays),
    worst_delay: Math.max(...delays),
    delayed: delays.filter((delay) => delay >= 15).length,
  }))
  t.is(expectedDays.length, 90)
  t.deepEqual(seen.days, expectedDays)

  const expectedWorst = delaysBy(({ origin }) => origin)
    .filter(([, delays]) => delays.length >= 100)
    .map(([origin, delays]) => ({ origin, flights: delays.length, mean_delay: mean(delays) }))
    .toSorted((a, b) => b.mean_delay - a.mean_delay)
    .slice(0, 10)
  t.deepEqual(worst(last.standings ?? new Map()), expectedWorst)

  // Each flight of an airport that has reached its hundredth changes that airport's row; each day is one row.
  const changes = delaysBy(({ origin }) => origin).reduce(
    (sum, [, delays]) => sum + Math.max(0, delays.length - 99),
    0,
  )
  t.is(last.totals?.records, flights.length)
  t.is(last.totals?.changes, changes + expectedDays.length)

  t.is(seen.airports.size, 3376)
  t.deepEqual(seen.airports.get('ORD'), { iata: 'ORD', city: 'Chicago', state: 'IL' })
  t.is(seen.lines.length, 1 + 90 + 2 + 10 + 1 + 2)
  t.true(seen.lines.some((line) => line.includes('New York, NY')))
})
