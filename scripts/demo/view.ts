/** The demonstration on a terminal, redrawn in place, and as plain lines for everything else. */

import {
  delayedMin,
  flightsMin,
  type Airport,
  type Day,
  type Standing,
  type Totals,
  type View,
} from './flights.js'

const worstShownMax = 10
const daysShownMax = 7
const redrawMs = 50
const barWidth = 30

/** The airports with the worst mean delay, worst first; of equal ones by name. */
export function worst(standings: ReadonlyMap<string, Standing>): Standing[] {
  return [...standings.values()]
    .toSorted((a, b) => b.mean_delay - a.mean_delay || (a.origin < b.origin ? -1 : 1))
    .slice(0, worstShownMax)
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US')
const minutes = (value: number) => `${value.toFixed(1)} min`.padStart(9)

export function standingLine(standing: Standing, airports: ReadonlyMap<string, Airport>): string {
  const airport = airports.get(standing.origin)
  const place = [airport?.city, airport?.state].filter(Boolean).join(', ')
  const flights = `${whole(standing.flights)} flights`.padStart(14)
  return `  ${standing.origin}  ${place.padEnd(28)}${flights}  ${minutes(standing.mean_delay)}`
}

export function dayLine({ day, flights, mean_delay, worst_delay, delayed }: Day): string {
  const counts = `${whole(flights)} flights`.padStart(12)
  const late = `${whole(delayed)} delayed`.padStart(12)
  return `  ${day.toISOString().slice(0, 10)}${counts}${late}  mean ${minutes(mean_delay)}  worst ${whole(worst_delay).padStart(4)} min`
}

const standingsTitle = `Airports with the worst mean delay (at least ${flightsMin} departures)`
const daysTitle = `Days, each printed once when it is final (delayed: ${delayedMin} minutes or more)`

function totalsLines({ records, changes, seconds, partitions }: Totals): string[] {
  const late = partitions.reduce((sum, each) => sum + each.late, 0)
  const deadLetters = partitions.reduce((sum, each) => sum + each.deadLetters, 0)
  const latency = (of: 'p50' | 'p99') =>
    (Math.max(...partitions.map((each) => each.latencyUs[of])) / 1000).toFixed(2)
  return [
    `${whole(records)} records in, ${whole(changes)} changes out of two queries in ${seconds.toFixed(3)} s: ${whole(records / seconds)} records/s`,
    `latency from a batch's arrival to its changes: p50 ${latency('p50')} ms, p99 ${latency('p99')} ms; ${late} late, ${deadLetters} dead letters`,
  ]
}

/** Plain lines: each day as it becomes final, then the standings and the totals. */
export class PlainView implements View {
  readonly #print: (line: string) => void
  #airports: ReadonlyMap<string, Airport> = new Map()
  #started = false

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  airports(airports: ReadonlyMap<string, Airport>): void {
    this.#airports = airports
  }

  standings(): void {}

  days(days: readonly Day[]): void {
    if (!this.#started) this.#print(daysTitle)
    this.#started = true
    for (const day of days) this.#print(dayLine(day))
  }

  done(standings: ReadonlyMap<string, Standing>, totals: Totals): void {
    this.#print('')
    this.#print(standingsTitle)
    for (const standing of worst(standings)) this.#print(standingLine(standing, this.#airports))
    this.#print('')
    for (const line of totalsLines(totals)) this.#print(line)
  }
}

/** A screenful that is drawn over itself, at most every 50 ms; the totals end it. */
export class TerminalView implements View {
  readonly #stream: NodeJS.WriteStream
  #airports: ReadonlyMap<string, Airport> = new Map()
  #standings: ReadonlyMap<string, Standing> = new Map()
  #days: Day[] = []
  #fraction = 0
  #drawnAt = 0
  #drawnLines = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  airports(airports: ReadonlyMap<string, Airport>): void {
    this.#airports = airports
  }

  standings(standings: ReadonlyMap<string, Standing>, fraction: number): void {
    this.#standings = standings
    this.#fraction = fraction
    if (performance.now() - this.#drawnAt > redrawMs) this.#draw()
  }

  days(days: readonly Day[]): void {
    this.#days = [...this.#days, ...days].slice(-daysShownMax)
  }

  done(standings: ReadonlyMap<string, Standing>, totals: Totals): void {
    this.#standings = standings
    this.#fraction = 1
    this.#draw()
    this.#stream.write(`\n${totalsLines(totals).join('\n')}\n`)
  }

  #draw(): void {
    const filled = Math.round(this.#fraction * barWidth)
    const bar = '#'.repeat(filled) + '.'.repeat(barWidth - filled)
    const lines = [
      `US flights of early 2001 [${bar}] ${Math.round(this.#fraction * 100)} %`,
      '',
      standingsTitle,
      ...worst(this.#standings).map((standing) => standingLine(standing, this.#airports)),
      '',
      daysTitle,
      ...this.#days.map(dayLine),
    ]
    const width = this.#stream.columns || 120
    const up = this.#drawnLines > 0 ? `\u001b[${this.#drawnLines}A` : ''
    // Each line is cut to the terminal's width: a wrapped one would upset the count of lines to go up.
    const text = lines.map((line) => `${line.slice(0, width - 1)}\u001b[K\n`).join('')
    this.#stream.write(`${up}${text}\u001b[J`)
    this.#drawnLines = lines.length
    this.#drawnAt = performance.now()
  }
}
