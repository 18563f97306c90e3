// The grammar: one entry per operator. A piece that is enabled is in the language: a query with it that the engine
// refuses fails the test.

import type { Piece } from '../relation.js'
import { distinct, groupBy } from './aggregate.js'
import { intervalJoin, lookupJoin, streamJoin, tableJoin } from './join.js'
import { over } from './over.js'
import { select } from './select.js'
import { unionAll } from './union.js'
import { cumulating, hopping, session, tumbling } from './window.js'

const enabled: readonly Piece[] = [
  select,
  groupBy,
  tumbling,
  hopping,
  cumulating,
  session,
  tableJoin,
  lookupJoin,
  streamJoin,
  intervalJoin,
]

/** Pieces of what is to come, or to be mended; DIFFERENTIAL_PENDING=name,... tries some of them. */
const pending: readonly Piece[] = [distinct, unionAll, over]

const tried = (process.env['DIFFERENTIAL_PENDING'] ?? '').split(',')

export const pieces = [...enabled, ...pending.filter(({ name }) => tried.includes(name))]
