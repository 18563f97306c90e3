// The scenarios: the same records, queries and answers at every door and beside JavaScript.
//
// Record i counts from 0. Every change is folded into a count and a checksum, which a timed run compares with
// those of an independent computation; the totals of the definition are checked once per contender.

import { joins } from './join-scenarios.js'
import { differs, lastOf, sum } from './scenario.js'
import type { Rival, Scenario, Tally, Values } from './scenario.js'
import { stations } from './stations.js'
import { timed } from './time-scenarios.js'

export { Tally } from './scenario.js'
export type { Rival, Scenario, Values } from './scenario.js'

const ordersDefinition =
  'CREATE STREAM orders (order_id BIGINT, customer_id INT, order_date STRING, total_amount DOUBLE)'

function order(i: number, amount: number): Values {
  return { order_id: i, customer_id: i % 1000, order_date: '2024-01-15', total_amount: amount }
}

function expectedSelection(records: number, bound: number, amount: (i: number) => number) {
  const found = { rows: 0, total: 0 }
  for (let i = 0; i < records; i++) {
    if (amount(i) <= bound) continue
    found.rows++
    found.total += amount(i)
  }
  return found
}

function takeOrder(tally: Tally, change: { op: string; row: Values }): void {
  tally.last = change
  tally.changes++
  tally.checksum += change.row['total_amount'] as number
}

function idiomaticSelection(bound: number): Rival {
  return {
    process(record, tally) {
      if ((record['total_amount'] as number) <= bound) return
      const { order_id, customer_id, order_date, total_amount } = record
      takeOrder(tally, { op: 'insert', row: { order_id, customer_id, order_date, total_amount } as Values })
    },
    end() {},
  }
}

/** s0, s0-half and s0-few: one row in, at most one row out. */
function selection(id: string, amount: (i: number) => number, bound = 100): Scenario {
  return {
    id,
    relation: 'orders',
    definition: ordersDefinition,
    sql: `SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > ${bound}`,
    fields: ['order_id', 'customer_id', 'order_date', 'total_amount'],
    record: (i) => order(i, amount(i)),
    weight: (row) => row['total_amount'] as number,
    verify(rows, records) {
      const expected = expectedSelection(records, bound, amount)
      return (
        differs('the number of rows', rows.length, expected.rows) ??
        differs('sum(total_amount)', sum(rows, 'total_amount'), expected.total)
      )
    },
    idiomatic: () => idiomaticSelection(bound),
    tuned: () => ({
      process(record, tally) {
        const total = record['total_amount'] as number
        if (total <= bound) return
        tally.changes++
        tally.checksum += total
      },
      end() {},
    }),
  }
}

/** s0b: a running count and sum per customer. */
const perCustomer: Scenario = {
  id: 's0b',
  relation: 'orders',
  definition: ordersDefinition,
  sql: 'SELECT customer_id, COUNT(*) AS n, SUM(total_amount) AS total FROM orders GROUP BY customer_id EMIT CHANGES',
  fields: ['customer_id', 'total_amount'],
  record: (i) => order(i, 150 + (i % 100)),
  weight: (row) => (row['n'] as number) + (row['total'] as number),
  verify(rows, records) {
    const groups = lastOf(rows, (row) => String(row['customer_id']))
    return (
      differs('the number of changes', rows.length, records) ??
      differs('the number of groups', groups.size, Math.min(1000, records)) ??
      differs('sum(n)', sum(groups.values(), 'n'), records)
    )
  },
  idiomatic() {
    const groups = new Map<number, { n: number; total: number }>()
    return {
      process(record, tally) {
        const customer = record['customer_id'] as number
        let group = groups.get(customer)
        const op = group === undefined ? 'insert' : 'update'
        if (group === undefined) groups.set(customer, (group = { n: 0, total: 0 }))
        group.n++
        group.total += record['total_amount'] as number
        const change = { op, row: { customer_id: customer, n: group.n, total: group.total } }
        tally.last = change
        tally.changes++
        tally.checksum += change.row.n + change.row.total
      },
      end() {},
    }
  },
  tuned() {
    const [n, total] = [new Float64Array(1000), new Float64Array(1000)]
    return {
      process(record, tally) {
        const customer = record['customer_id'] as number
        const count = ((n[customer] as number) += 1)
        const running = ((total[customer] as number) += record['total_amount'] as number)
        tally.changes++
        tally.checksum += count + running
      },
      end() {},
    }
  },
}

/** s2: five aggregates per symbol, every change emitted. */
const perSymbol: Scenario = {
  id: 's2',
  relation: 'market_data',
  definition: 'CREATE STREAM market_data (symbol STRING, price DOUBLE, quantity INT)',
  sql: `SELECT symbol, COUNT(*) AS trade_count, AVG(price) AS avg_price, MIN(price) AS min_price,
    MAX(price) AS max_price, SUM(quantity) AS total_quantity FROM market_data GROUP BY symbol EMIT CHANGES`,
  fields: ['symbol', 'price', 'quantity'],
  record: (i) => ({ symbol: `SYM${i % 200}`, price: 100 + (i % 100), quantity: i % 1000 }),
  weight: (row) => (row['trade_count'] as number) + (row['total_quantity'] as number),
  verify(rows, records) {
    const groups = lastOf(rows, (row) => row['symbol'] as string)
    let quantity = 0
    for (let i = 0; i < records; i++) quantity += i % 1000
    return (
      differs('the number of changes', rows.length, records) ??
      differs('the number of groups', groups.size, Math.min(200, records)) ??
      differs('sum(trade_count)', sum(groups.values(), 'trade_count'), records) ??
      differs('sum(total_quantity)', sum(groups.values(), 'total_quantity'), quantity)
    )
  },
  idiomatic() {
    interface Group {
      count: number
      total: number
      min: number
      max: number
      quantity: number
    }
    const groups = new Map<string, Group>()
    return {
      process(record, tally) {
        const symbol = record['symbol'] as string
        const price = record['price'] as number
        let group = groups.get(symbol)
        const op = group === undefined ? 'insert' : 'update'
        if (group === undefined) {
          group = { count: 0, total: 0, min: Infinity, max: -Infinity, quantity: 0 }
          groups.set(symbol, group)
        }
        group.count++
        group.total += price
        if (price < group.min) group.min = price
        if (price > group.max) group.max = price
        group.quantity += record['quantity'] as number
        const row = {
          symbol,
          trade_count: group.count,
          avg_price: group.total / group.count,
          min_price: group.min,
          max_price: group.max,
          total_quantity: group.quantity,
        }
        const change = { op, row }
        tally.last = change
        tally.changes++
        tally.checksum += change.row.trade_count + change.row.total_quantity
      },
      end() {},
    }
  },
  tuned() {
    const ids = new Map<string, number>()
    const [count, total, quantity] = [new Float64Array(256), new Float64Array(256), new Float64Array(256)]
    const [min, max] = [new Float64Array(256).fill(Infinity), new Float64Array(256).fill(-Infinity)]
    return {
      process(record, tally) {
        const symbol = record['symbol'] as string
        let id = ids.get(symbol)
        if (id === undefined) ids.set(symbol, (id = ids.size))
        const price = record['price'] as number
        const trades = ((count[id] as number) += 1)
        total[id] = (total[id] as number) + price
        if (price < (min[id] as number)) min[id] = price
        if (price > (max[id] as number)) max[id] = price
        const sold = ((quantity[id] as number) += record['quantity'] as number)
        tally.changes++
        tally.checksum += trades + sold
      },
      end() {},
    }
  },
}

const MINUTE_MS = 60_000

function trade(i: number): Values {
  return {
    trader_id: `T${i % 53}`,
    symbol: `SYM${i % 97}`,
    price: 100 + (i % 50),
    quantity: i % 1000,
    trade_time: 1_000_000 + i * 10,
  }
}

interface WindowGroup {
  trader_id: string
  symbol: string
  window_start: number
  trade_count: number
  total: number
  total_quantity: number
  total_value: number
}

function windowRow(group: WindowGroup): Values {
  const { trader_id, symbol, window_start, trade_count, total, total_quantity, total_value } = group
  const avg_price = total / trade_count
  return { trader_id, symbol, window_start, trade_count, avg_price, total_quantity, total_value }
}

function windowWeight(row: Values): number {
  return (row['trade_count'] as number) + (row['total_value'] as number)
}

function takeWindow(tally: Tally, change: { op: string; row: Values }): void {
  tally.last = change
  tally.changes++
  tally.checksum += windowWeight(change.row)
}

/** s3a and s3b: four aggregates per trader, symbol and minute. Records are in time order. */
function windowed(id: string, emit: 'FINAL' | 'CHANGES'): Scenario {
  return {
    id,
    relation: 'market_data',
    definition: `CREATE STREAM market_data (trader_id STRING, symbol STRING, price DOUBLE, quantity INT,
      trade_time TIMESTAMP, WATERMARK FOR trade_time AS trade_time)`,
    sql: `SELECT trader_id, symbol, window_start, COUNT(*) AS trade_count, AVG(price) AS avg_price,
      SUM(quantity) AS total_quantity, SUM(price * quantity) AS total_value
      FROM market_data WINDOW TUMBLING (trade_time, INTERVAL '1' MINUTE) GROUP BY trader_id, symbol EMIT ${emit}`,
    fields: ['trader_id', 'symbol', 'price', 'quantity', 'trade_time'],
    record: trade,
    weight: windowWeight,
    verify(rows, records) {
      const last = lastOf(rows, (row) => `${row['trader_id']} ${row['symbol']} ${row['window_start']}`)
      return (
        differs('the number of changes', rows.length, emit === 'FINAL' ? last.size : records) ??
        differs('sum(trade_count)', sum(last.values(), 'trade_count'), records)
      )
    },
    idiomatic() {
      const groups = new Map<string, WindowGroup>()
      let current = 0
      const close = (tally: Tally) => {
        if (emit === 'FINAL')
          for (const group of groups.values()) takeWindow(tally, { op: 'insert', row: windowRow(group) })
        groups.clear()
      }
      return {
        process(record, tally) {
          const time = record['trade_time'] as number
          const window_start = time - (time % MINUTE_MS)
          if (window_start > current) close(tally)
          current = window_start
          const trader_id = record['trader_id'] as string
          const symbol = record['symbol'] as string
          const key = `${trader_id}|${symbol}`
          let group = groups.get(key)
          const op = group === undefined ? 'insert' : 'update'
          if (group === undefined) {
            group = {
              trader_id,
              symbol,
              window_start,
              trade_count: 0,
              total: 0,
              total_quantity: 0,
              total_value: 0,
            }
            groups.set(key, group)
          }
          const price = record['price'] as number
          const quantity = record['quantity'] as number
          group.trade_count++
          group.total += price
          group.total_quantity += quantity
          group.total_value += price * quantity
          if (emit === 'CHANGES') takeWindow(tally, { op, row: windowRow(group) })
        },
        end: close,
      }
    },
    tuned: () => tunedWindows(emit),
  }
}

/** The number of a name; a new one gets the next. */
function idOf(ids: Map<string, number>, names: string[], name: string): number {
  let id = ids.get(name)
  if (id === undefined) {
    ids.set(name, (id = ids.size))
    names.push(name)
  }
  return id
}

/** Numeric ids of trader and symbol index one flat table, which is walked when a window closes. */
function tunedWindows(emit: 'FINAL' | 'CHANGES'): Rival {
  const slots = 64 * 128
  const [traders, symbols] = [new Map<string, number>(), new Map<string, number>()]
  const [traderNames, symbolNames]: [string[], string[]] = [[], []]
  const [count, total] = [new Float64Array(slots), new Float64Array(slots)]
  const [quantities, values] = [new Float64Array(slots), new Float64Array(slots)]
  const open = new Int32Array(slots)
  let [used, current] = [0, 0]
  const close = (tally: Tally) => {
    for (let at = 0; at < used; at++) {
      const slot = open[at] as number
      if (emit === 'FINAL') {
        const trade_count = count[slot] as number
        tally.changes++
        tally.checksum += windowWeight({
          trader_id: traderNames[slot >> 7] as string,
          symbol: symbolNames[slot & 127] as string,
          window_start: current,
          trade_count,
          avg_price: (total[slot] as number) / trade_count,
          total_quantity: quantities[slot] as number,
          total_value: values[slot] as number,
        })
      }
      count[slot] = total[slot] = quantities[slot] = values[slot] = 0
    }
    used = 0
  }
  return {
    process(record, tally) {
      const time = record['trade_time'] as number
      const start = time - (time % MINUTE_MS)
      if (start > current) close(tally)
      current = start
      const trader = idOf(traders, traderNames, record['trader_id'] as string)
      const slot = (trader << 7) | idOf(symbols, symbolNames, record['symbol'] as string)
      if (count[slot] === 0) open[used++] = slot
      const price = record['price'] as number
      const quantity = record['quantity'] as number
      const trades = ((count[slot] as number) += 1)
      total[slot] = (total[slot] as number) + price
      quantities[slot] = (quantities[slot] as number) + quantity
      const value = ((values[slot] as number) += price * quantity)
      if (emit === 'FINAL') return
      tally.changes++
      tally.checksum += trades + value
    },
    end: close,
  }
}

export const scenarios: readonly Scenario[] = [
  selection('s0', (i) => 150 + (i % 100)),
  selection('s0-half', (i) => i % 200),
  selection('s0-few', (i) => i % 10_000, 9900),
  perCustomer,
  perSymbol,
  windowed('s3a', 'FINAL'),
  windowed('s3b', 'CHANGES'),
  ...timed,
  ...joins,
  stations,
]
