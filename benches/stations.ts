// s5: the least, mean and largest temperature of each of 408 stations, from lines of `station;t`.

import { differs, takeChange } from './scenario.js'
import type { Rival, Scenario, Tally, Values } from './scenario.js'

const BEGINNINGS =
  'Al Bar Cor Dun Est Fal Gren Hol Ist Jor Kal Lim Mar Nor Ost Pal Quin Ros Sal Tor Ulm Val Wes Zan'.split(
    ' ',
  )
const ENDINGS = 'a berg chester dorf field gate ham haven ia kirk mouth o port stad ton ville wick'.split(' ')
const NAMES = ENDINGS.flatMap((ending) => BEGINNINGS.map((beginning) => beginning + ending))

/** From -99.9 to 99.9 in tenths. */
const TENTHS = 1999
const TENTHS_LEAST = -999

/** Scrambles a number; the finalizer of MurmurHash3, which is in the public domain. */
function scrambled(number: number): number {
  let x = number
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** Station and temperature in tenths of record `i`. */
function measurement(i: number): { station: string; tenths: number } {
  const first = scrambled(i)
  const second = scrambled(first ^ 0x9e3779b9)
  return { station: NAMES[first % NAMES.length] as string, tenths: (second % TENTHS) + TENTHS_LEAST }
}

/** The line of record `i`, with its end. */
export function lineOf(i: number): string {
  const { station, tenths } = measurement(i)
  const size = Math.abs(tenths)
  return `${station};${tenths < 0 ? '-' : ''}${Math.floor(size / 10)}.${size % 10}\n`
}

/** What a group's row adds to the checksum. */
function weight(row: Values): number {
  return (row['hi'] as number) - (row['lo'] as number) + Math.abs(row['mean'] as number)
}

/** The answer in whole tenths, computed apart. */
function expected(records: number): Map<string, { n: number; total: number; lo: number; hi: number }> {
  const groups = new Map<string, { n: number; total: number; lo: number; hi: number }>()
  for (let i = 0; i < records; i++) {
    const { station, tenths } = measurement(i)
    const group = groups.get(station)
    if (group === undefined) groups.set(station, { n: 1, total: tenths, lo: tenths, hi: tenths })
    else {
      group.n++
      group.total += tenths
      if (tenths < group.lo) group.lo = tenths
      if (tenths > group.hi) group.hi = tenths
    }
  }
  return groups
}

function verify(rows: Values[], records: number): string | undefined {
  const groups = expected(records)
  for (const { station, lo, mean, hi } of rows) {
    const group = groups.get(station as string)
    if (group === undefined) return `there is no station ${station}, or it came twice`
    groups.delete(station as string)
    const wrong =
      differs(`the least of ${station}`, lo as number, group.lo / 10) ??
      differs(`the mean of ${station}`, mean as number, group.total / group.n / 10) ??
      differs(`the largest of ${station}`, hi as number, group.hi / 10)
    if (wrong !== undefined) return wrong
  }
  return differs('the number of stations that are missing', groups.size, 0)
}

interface Group {
  n: number
  total: number
  lo: number
  hi: number
}

/** A Map of groups. */
function idiomatic(): Rival {
  const groups = new Map<string, Group>()
  return {
    process(record) {
      const station = record['station'] as string
      const t = record['t'] as number
      const group = groups.get(station)
      if (group === undefined) groups.set(station, { n: 1, total: t, lo: t, hi: t })
      else {
        group.n++
        group.total += t
        if (t < group.lo) group.lo = t
        if (t > group.hi) group.hi = t
      }
    },
    end(tally) {
      for (const [station, { n, total, lo, hi }] of groups) {
        const row = { station, lo, mean: total / n, hi }
        takeChange(tally, row, weight(row))
      }
    },
  }
}

/** Numeric ids index flat tables. */
function tuned(): Rival {
  const ids = new Map<string, number>()
  const slots = 512
  const [counts, totals] = [new Float64Array(slots), new Float64Array(slots)]
  const [least, most] = [new Float64Array(slots).fill(Infinity), new Float64Array(slots).fill(-Infinity)]
  return {
    process(record) {
      const station = record['station'] as string
      let id = ids.get(station)
      if (id === undefined) ids.set(station, (id = ids.size))
      const t = record['t'] as number
      counts[id] = (counts[id] as number) + 1
      totals[id] = (totals[id] as number) + t
      if (t < (least[id] as number)) least[id] = t
      if (t > (most[id] as number)) most[id] = t
    },
    end(tally: Tally) {
      for (const [station, id] of ids) {
        const [lo, hi] = [least[id] as number, most[id] as number]
        const mean = (totals[id] as number) / (counts[id] as number)
        tally.changes++
        tally.checksum += weight({ station, lo, mean, hi })
      }
    },
  }
}

export const stations: Scenario = {
  id: 's5',
  relation: 'measurements',
  definition: 'CREATE STREAM measurements (station STRING, t DOUBLE)',
  fileOptions: "format = 'csv', delimiter = ';', header = 'false'",
  sql: 'SELECT station, MIN(t) AS lo, AVG(t) AS mean, MAX(t) AS hi FROM measurements GROUP BY station EMIT FINAL',
  fields: ['station', 't'],
  record(i) {
    const { station, tenths } = measurement(i)
    return { station, t: tenths / 10 }
  },
  weight,
  verify,
  idiomatic,
  tuned,
}
