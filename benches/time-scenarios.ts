// Scenarios over order and time: s1, a moving average; hopping and session windows.
//
// Hopping windows of a minute, one every second, take the input of s3a, per symbol: every record is in 60
// windows, and each closed one gives a row for every symbol. Sessions take it too, but for the traders: two of
// them take turns for a second, then the next two, and each pair comes again after 53 seconds, so that a gap of
// five seconds makes a session of the 50 records of each second.

import { differs, sum, takeChange } from './scenario.js'
import type { Rival, Scenario, Tally, Values } from './scenario.js'

const FRAME_ROWS = 100

function quote(i: number): Values {
  return { symbol: `SYM${i % 10}`, price: 100 + (i % 50), ts: i * 1000 }
}

/** The mean of the frame that ends with record i: its symbol comes every ten records. */
function movingAverage(i: number): number {
  const rows = Math.min(FRAME_ROWS, Math.floor(i / 10) + 1)
  let total = 0
  for (let back = 0; back < rows; back++) total += 100 + ((i - back * 10) % 50)
  return total / rows
}

/** s1: the mean of the last hundred prices of each symbol. */
const moving: Scenario = {
  id: 's1',
  relation: 'market_data',
  definition: `CREATE STREAM market_data (symbol STRING, price DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)`,
  sql: `SELECT symbol, price, AVG(price) OVER (PARTITION BY symbol ORDER BY ts
    ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS moving_avg FROM market_data`,
  fields: ['symbol', 'price', 'ts'],
  record: quote,
  weight: (row) => (row['price'] as number) + (row['moving_avg'] as number),
  verify(rows, records) {
    let expected = 0
    for (let i = 0; i < records; i++) expected += movingAverage(i)
    return (
      differs('the number of rows', rows.length, records) ??
      differs('sum(moving_avg)', sum(rows, 'moving_avg'), expected)
    )
  },
  idiomatic() {
    const frames = new Map<string, { prices: number[]; total: number }>()
    return {
      process(record, tally) {
        const symbol = record['symbol'] as string
        const price = record['price'] as number
        let frame = frames.get(symbol)
        if (frame === undefined) frames.set(symbol, (frame = { prices: [], total: 0 }))
        frame.prices.push(price)
        frame.total += price
        if (frame.prices.length > FRAME_ROWS) frame.total -= frame.prices.shift() as number
        const moving_avg = frame.total / frame.prices.length
        takeChange(tally, { symbol, price, moving_avg }, price + moving_avg)
      },
      end() {},
    }
  },
  tuned() {
    const ids = new Map<string, number>()
    const prices = new Float64Array(16 * FRAME_ROWS)
    const [totals, counts] = [new Float64Array(16), new Int32Array(16)]
    return {
      process(record, tally) {
        const symbol = record['symbol'] as string
        let id = ids.get(symbol)
        if (id === undefined) ids.set(symbol, (id = ids.size))
        const price = record['price'] as number
        const seen = counts[id] as number
        const slot = id * FRAME_ROWS + (seen % FRAME_ROWS)
        // A slot that is not yet used holds zero.
        const total = (totals[id] as number) + price - (prices[slot] as number)
        prices[slot] = price
        totals[id] = total
        counts[id] = seen + 1
        tally.changes++
        tally.checksum += price + total / (seen < FRAME_ROWS ? seen + 1 : FRAME_ROWS)
      },
      end() {},
    }
  },
}

const SECOND_MS = 1000
const WINDOW_SECONDS = 60
const TRADERS = 53
const SYMBOLS = 97

const marketDefinition = `CREATE STREAM market_data (trader_id STRING, symbol STRING, price DOUBLE, quantity INT,
  trade_time TIMESTAMP, WATERMARK FOR trade_time AS trade_time)`

function trade(i: number): Values {
  return {
    trader_id: `T${i % TRADERS}`,
    symbol: `SYM${i % SYMBOLS}`,
    price: 100 + (i % 50),
    quantity: i % 1000,
    trade_time: 1_000_000 + i * 10,
  }
}

function weight(row: Values): number {
  return row['n'] as number
}

function takeRow(tally: Tally, row: Values): void {
  takeChange(tally, row, weight(row))
}

/** Every record is counted in each of its windows. */
const hopping: Scenario = {
  id: 'hopping',
  relation: 'market_data',
  definition: marketDefinition,
  sql: `SELECT symbol, window_start, COUNT(*) AS n, SUM(quantity) AS total, MAX(quantity) AS most FROM market_data
    WINDOW HOPPING (SIZE 60 SECONDS, ADVANCE BY 1 SECOND) GROUP BY symbol EMIT FINAL`,
  fields: ['symbol', 'quantity', 'trade_time'],
  record: trade,
  weight,
  verify: (rows, records) => differs('sum(n)', sum(rows, 'n'), records * WINDOW_SECONDS),
  idiomatic: idiomaticHopping,
  tuned: tunedHopping,
}

interface Group {
  n: number
  total: number
  most: number
}

/** A Map of groups for each open window. */
function idiomaticHopping(): Rival {
  const windows = new Map<number, Map<string, Group>>()
  const close = (tally: Tally, second: number) => {
    for (const [start, groups] of windows) {
      if (start + WINDOW_SECONDS > second) continue
      windows.delete(start)
      for (const [symbol, { n, total, most }] of groups) {
        takeRow(tally, { symbol, window_start: start * SECOND_MS, n, total, most })
      }
    }
  }
  let current = -1
  return {
    process(record, tally) {
      const second = Math.floor((record['trade_time'] as number) / SECOND_MS)
      if (second > current) close(tally, second)
      current = second
      const symbol = record['symbol'] as string
      const quantity = record['quantity'] as number
      for (let start = second - WINDOW_SECONDS + 1; start <= second; start++) {
        let groups = windows.get(start)
        if (groups === undefined) windows.set(start, (groups = new Map()))
        const group = groups.get(symbol)
        if (group === undefined) groups.set(symbol, { n: 1, total: quantity, most: quantity })
        else {
          group.n++
          group.total += quantity
          if (quantity > group.most) group.most = quantity
        }
      }
    },
    end: (tally) => close(tally, Infinity),
  }
}

/**
 * Seconds as panes in a ring. A window's count and total are those of the window before it, with the pane that
 * came and without the one that went: exact, since all values are whole numbers. Its maximum is looked up anew.
 */
function tunedHopping(): Rival {
  const ids = new Map<string, number>()
  const names: string[] = []
  const slots = 128
  const panes = { n: new Int32Array(WINDOW_SECONDS * slots), total: new Float64Array(WINDOW_SECONDS * slots) }
  const tops = new Int32Array(WINDOW_SECONDS * slots).fill(-1)
  const [counts, totals] = [new Int32Array(slots), new Float64Array(slots)]
  let current = -1
  const mostOf = (id: number) => {
    let most = -1
    for (let at = id; at < tops.length; at += slots)
      if ((tops[at] as number) > most) most = tops[at] as number
    return most
  }
  /** Closes the window whose last second is `last`, and makes room for the next second. */
  const close = (tally: Tally, last: number) => {
    const window_start = (last - WINDOW_SECONDS + 1) * SECOND_MS
    const [came, went] = [(last % WINDOW_SECONDS) * slots, ((last + 1) % WINDOW_SECONDS) * slots]
    for (let id = 0; id < names.length; id++) {
      const n = ((counts[id] as number) += panes.n[came + id] as number)
      const total = (totals[id] as number) + (panes.total[came + id] as number)
      if (n > 0) {
        tally.changes++
        tally.checksum += weight({ symbol: names[id] as string, window_start, n, total, most: mostOf(id) })
      }
      counts[id] = n - (panes.n[went + id] as number)
      totals[id] = total - (panes.total[went + id] as number)
    }
    panes.n.fill(0, went, went + slots)
    panes.total.fill(0, went, went + slots)
    tops.fill(-1, went, went + slots)
  }
  return {
    process(record, tally) {
      const second = Math.floor((record['trade_time'] as number) / SECOND_MS)
      if (current >= 0) for (; current < second; current++) close(tally, current)
      current = second
      const symbol = record['symbol'] as string
      let id = ids.get(symbol)
      if (id === undefined) {
        ids.set(symbol, (id = ids.size))
        names.push(symbol)
      }
      const quantity = record['quantity'] as number
      const at = (second % WINDOW_SECONDS) * slots + id
      panes.n[at] = (panes.n[at] as number) + 1
      panes.total[at] = (panes.total[at] as number) + quantity
      if (quantity > (tops[at] as number)) tops[at] = quantity
    },
    end: (tally) => {
      for (let last = current; last < current + WINDOW_SECONDS; last++) close(tally, last)
    },
  }
}

const GAP_MS = 5000
/** A second of records, which is what two traders have in turns. */
const BURST_RECORDS = 100

const sessions: Scenario = {
  id: 'session',
  relation: 'market_data',
  definition: marketDefinition,
  sql: `SELECT trader_id, window_start, window_end, COUNT(*) AS n, SUM(quantity) AS total FROM market_data
    WINDOW SESSION (5 SECONDS) GROUP BY trader_id EMIT FINAL`,
  fields: ['trader_id', 'quantity', 'trade_time'],
  record: (i) => ({ ...trade(i), trader_id: `T${(Math.floor(i / BURST_RECORDS) % TRADERS) * 2 + (i % 2)}` }),
  weight,
  verify(rows, records) {
    const rest = Math.min(2, records % BURST_RECORDS)
    return (
      differs('the number of sessions', rows.length, Math.floor(records / BURST_RECORDS) * 2 + rest) ??
      differs('sum(n)', sum(rows, 'n'), records)
    )
  },
  idiomatic: idiomaticSessions,
  tuned: tunedSessions,
}

interface Session {
  trader_id: string
  start: number
  last: number
  n: number
  total: number
}

/** Open sessions in a Map, which is searched for ended ones once a second. */
function idiomaticSessions(): Rival {
  const open = new Map<string, Session>()
  let searched = 0
  const close = (tally: Tally, { trader_id, start, last, n, total }: Session) => {
    takeRow(tally, { trader_id, window_start: start, window_end: last + GAP_MS, n, total })
  }
  const search = (tally: Tally, now: number) => {
    searched = now
    for (const [trader, session] of open) {
      if (session.last + GAP_MS > now) continue
      open.delete(trader)
      close(tally, session)
    }
  }
  return {
    process(record, tally) {
      const time = record['trade_time'] as number
      if (time - searched >= SECOND_MS) search(tally, time)
      const trader_id = record['trader_id'] as string
      let session = open.get(trader_id)
      if (session !== undefined && time - session.last > GAP_MS) {
        close(tally, session)
        session = undefined
      }
      if (session === undefined) {
        session = { trader_id, start: time, last: time, n: 0, total: 0 }
        open.set(trader_id, session)
      }
      session.last = time
      session.n++
      session.total += record['quantity'] as number
    },
    end: (tally) => search(tally, Infinity),
  }
}

/** Numeric ids index flat tables; open sessions are a list by their last record, linked through two of them. */
function tunedSessions(): Rival {
  const traders = new Map<string, number>()
  const names: string[] = []
  const slots = 128
  const [next, previous] = [new Int32Array(slots + 1), new Int32Array(slots + 1)]
  next[slots] = previous[slots] = slots
  const [counts, totals] = [new Int32Array(slots), new Float64Array(slots)]
  const [start, last] = [new Float64Array(slots), new Float64Array(slots)]
  const unlink = (slot: number) => {
    const [before, after] = [previous[slot] as number, next[slot] as number]
    next[before] = after
    previous[after] = before
  }
  const close = (tally: Tally, now: number) => {
    for (let slot = next[slots] as number; slot !== slots; slot = next[slots] as number) {
      if ((last[slot] as number) + GAP_MS > now) return
      unlink(slot)
      tally.changes++
      tally.checksum += weight({
        trader_id: names[slot] as string,
        window_start: start[slot] as number,
        window_end: (last[slot] as number) + GAP_MS,
        n: counts[slot] as number,
        total: totals[slot] as number,
      })
      counts[slot] = totals[slot] = 0
    }
  }
  return {
    process(record, tally) {
      const time = record['trade_time'] as number
      close(tally, time - 1)
      const trader = record['trader_id'] as string
      let slot = traders.get(trader)
      if (slot === undefined) {
        traders.set(trader, (slot = traders.size))
        names.push(trader)
      }
      if (counts[slot] === 0) start[slot] = time
      else unlink(slot)
      const newest = previous[slots] as number
      next[newest] = previous[slots] = slot
      previous[slot] = newest
      next[slot] = slots
      last[slot] = time
      counts[slot] = (counts[slot] as number) + 1
      totals[slot] = (totals[slot] as number) + (record['quantity'] as number)
    },
    end: (tally) => close(tally, Infinity),
  }
}

export const timed: readonly Scenario[] = [moving, hopping, sessions]
