// Scenarios of joins: s2b, a windowed aggregate over an interval join; s4, a stream's look-ups in a table.

import { differs, sum, takeChange } from './scenario.js'
import type { Rival, Scenario, Tally, Values } from './scenario.js'

const BOUND_MS = 1000
const WINDOW_MS = 10_000
const SYMBOLS = 200

/** Trades and quotes take turns: record 2i is trade i, record 2i + 1 is quote i. */
function tradeOrQuote(record: number): Values {
  const i = record >> 1
  const symbol = `SYM${i % SYMBOLS}`
  if (record % 2 === 1) return { symbol, bid: 99 + (i % 100), ts: i * 10 + 5 }
  return { symbol, price: 100 + (i % 100), quantity: i % 1000, ts: i * 10 }
}

function weight(row: Values): number {
  return (row['n'] as number) + (row['spread'] as number)
}

/** Each trade meets the one quote of its symbol within a second, which is one cheaper. */
const spreads: Scenario = {
  id: 's2b',
  relation: 'trades',
  alternating: 'quotes',
  definition: `CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
    CREATE STREAM quotes (symbol STRING, bid DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)`,
  sql: `SELECT t.symbol, COUNT(*) AS n, SUM(t.price - q.bid) AS spread FROM trades t JOIN quotes q WITHIN 1 SECOND
    ON t.symbol = q.symbol WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY t.symbol EMIT FINAL`,
  fields: ['symbol', 'price', 'bid', 'ts'],
  record: tradeOrQuote,
  weight,
  verify(rows, records) {
    const pairs = Math.floor(records / 2)
    const windows = Math.ceil((pairs * 10) / WINDOW_MS)
    const groups = (windows - 1) * SYMBOLS + Math.min(SYMBOLS, pairs - (windows - 1) * (WINDOW_MS / 10))
    return (
      differs('the number of rows', rows.length, groups) ??
      differs('sum(n)', sum(rows, 'n'), pairs) ??
      differs('sum(spread)', sum(rows, 'spread'), pairs)
    )
  },
  idiomatic: idiomaticSpreads,
  tuned: tunedSpreads,
}

interface Timed {
  value: number
  ts: number
}

/** What the groups of a window hold, and the time up to which both inputs have come. */
function idiomaticSpreads(): Rival {
  const sides = [new Map<string, Timed[]>(), new Map<string, Timed[]>()] as const
  const reached = [0, 0]
  const windows = new Map<number, Map<string, { n: number; spread: number }>>()
  const close = (tally: Tally, time: number) => {
    for (const [start, groups] of windows) {
      if (start + WINDOW_MS > time) continue
      windows.delete(start)
      for (const [symbol, { n, spread }] of groups) {
        const row = { symbol, n, spread }
        takeChange(tally, row, weight(row))
      }
    }
  }
  const add = (symbol: string, time: number, spread: number) => {
    const start = time - (time % WINDOW_MS)
    let groups = windows.get(start)
    if (groups === undefined) windows.set(start, (groups = new Map()))
    const group = groups.get(symbol)
    if (group === undefined) groups.set(symbol, { n: 1, spread })
    else {
      group.n++
      group.spread += spread
    }
  }
  return {
    process(record, tally, source) {
      const symbol = record['symbol'] as string
      const ts = record['ts'] as number
      const value = (source === 0 ? record['price'] : record['bid']) as number
      const [own, other] = source === 0 ? sides : [sides[1], sides[0]]
      const partners = other.get(symbol) ?? []
      // What is too old for everything that may still come from this side matches nothing more.
      while (partners.length > 0 && (partners[0] as Timed).ts < ts - BOUND_MS) partners.shift()
      for (const partner of partners) {
        if (Math.abs(partner.ts - ts) > BOUND_MS) continue
        const spread = source === 0 ? value - partner.value : partner.value - value
        add(symbol, Math.max(ts, partner.ts), spread)
      }
      const rows = own.get(symbol)
      if (rows === undefined) own.set(symbol, [{ value, ts }])
      else rows.push({ value, ts })
      reached[source] = ts
      close(tally, Math.min(reached[0] as number, reached[1] as number))
    },
    end: (tally) => close(tally, Infinity),
  }
}

/** The rows of one side for one symbol: times and values in a ring that doubles when it is full. */
class Ring {
  times = new Float64Array(8)
  values = new Float64Array(8)
  first = 0
  end = 0

  push(time: number, value: number): void {
    if (this.end - this.first === this.times.length) this.grow()
    const at = this.end++ & (this.times.length - 1)
    this.times[at] = time
    this.values[at] = value
  }

  grow(): void {
    const [times, values] = [this.times, this.values]
    const mask = times.length * 2 - 1
    this.times = new Float64Array(mask + 1)
    this.values = new Float64Array(mask + 1)
    for (let row = this.first; row < this.end; row++) {
      this.times[row & mask] = times[row & (times.length - 1)] as number
      this.values[row & mask] = values[row & (times.length - 1)] as number
    }
  }

  /** Drops the rows before a time: nothing that may still come matches them. */
  dropBefore(time: number): void {
    const mask = this.times.length - 1
    while (this.first < this.end && (this.times[this.first & mask] as number) < time) this.first++
  }
}

/** Numeric ids; windows as slices of flat tables, of which few are open at a time. */
function tunedSpreads(): Rival {
  const ids = new Map<string, number>()
  const sides: [Ring[], Ring[]] = [[], []]
  const reached = new Float64Array(2)
  const slots = 256
  const openWindows = 16
  const counts = new Float64Array(openWindows * slots)
  const sums = new Float64Array(openWindows * slots)
  let [firstWindow, lastWindow] = [0, 0]
  const close = (tally: Tally, time: number) => {
    for (; firstWindow <= lastWindow && (firstWindow + 1) * WINDOW_MS <= time; firstWindow++) {
      const base = (firstWindow % openWindows) * slots
      for (let at = base; at < base + ids.size; at++) {
        const n = counts[at] as number
        if (n === 0) continue
        tally.changes++
        tally.checksum += n + (sums[at] as number)
        counts[at] = sums[at] = 0
      }
    }
  }
  const match = (id: number, partners: Ring, ts: number, value: number, sign: number) => {
    partners.dropBefore(ts - BOUND_MS)
    const { times, values, end } = partners
    const mask = times.length - 1
    for (let row = partners.first; row < end; row++) {
      const time = times[row & mask] as number
      if (time > ts + BOUND_MS) return
      const window = Math.floor((ts > time ? ts : time) / WINDOW_MS)
      if (window > lastWindow) lastWindow = window
      const at = (window % openWindows) * slots + id
      counts[at] = (counts[at] as number) + 1
      sums[at] = (sums[at] as number) + sign * (value - (values[row & mask] as number))
    }
  }
  return {
    process(record, tally, source) {
      const symbol = record['symbol'] as string
      let id = ids.get(symbol)
      if (id === undefined) {
        ids.set(symbol, (id = ids.size))
        sides[0].push(new Ring())
        sides[1].push(new Ring())
      }
      const ts = record['ts'] as number
      const value = (source === 0 ? record['price'] : record['bid']) as number
      const [own, other] = source === 0 ? sides : [sides[1], sides[0]]
      match(id, other[id] as Ring, ts, value, source === 0 ? 1 : -1)
      ;(own[id] as Ring).push(ts, value)
      reached[source] = ts
      close(tally, Math.min(reached[0] as number, reached[1] as number))
    },
    end: (tally) => close(tally, Infinity),
  }
}

const INSTRUMENTS = 10_000

function instruments(): Values[] {
  return Array.from({ length: INSTRUMENTS }, (_, j) => ({
    symbol: `SYM${j}`,
    sector: `S${j % 11}`,
    lot: 1 + (j % 9),
  }))
}

/** s4: each trade with its instrument, which the table holds before the first record. */
const lookups: Scenario = {
  id: 's4',
  relation: 'trades',
  before: { relation: 'instruments', rows: instruments },
  definition: `CREATE TABLE instruments (symbol STRING PRIMARY KEY, sector STRING, lot INT);
    CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT)`,
  sql: `SELECT t.symbol, t.price * i.lot AS value, i.sector FROM trades t JOIN instruments i ON t.symbol = i.symbol`,
  fields: ['symbol', 'price'],
  record: (i) => ({ symbol: `SYM${i % INSTRUMENTS}`, price: 100 + (i % 100), quantity: i % 1000 }),
  weight: (row) => row['value'] as number,
  verify(rows, records) {
    let value = 0
    for (let i = 0; i < records; i++) value += (100 + (i % 100)) * (1 + ((i % INSTRUMENTS) % 9))
    return (
      differs('the number of rows', rows.length, records) ?? differs('sum(value)', sum(rows, 'value'), value)
    )
  },
  idiomatic() {
    const table = new Map(instruments().map((row) => [row['symbol'] as string, row]))
    return {
      process(record, tally) {
        const symbol = record['symbol'] as string
        const instrument = table.get(symbol)
        if (instrument === undefined) return
        const value = (record['price'] as number) * (instrument['lot'] as number)
        takeChange(tally, { symbol, value, sector: instrument['sector'] as string }, value)
      },
      end() {},
    }
  },
  tuned() {
    const rows = instruments()
    const places = new Map(rows.map((row, at) => [row['symbol'] as string, at]))
    const lots = Float64Array.from(rows, (row) => row['lot'] as number)
    return {
      process(record, tally) {
        const at = places.get(record['symbol'] as string)
        if (at === undefined) return
        tally.changes++
        tally.checksum += (record['price'] as number) * (lots[at] as number)
      },
      end() {},
    }
  },
}

export const joins: readonly Scenario[] = [spreads, lookups]
