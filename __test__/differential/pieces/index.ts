// The grammar: one entry per operator. A query with a piece of it that the engine refuses fails the test.

import type { Piece } from '../relation.js'
import { distinct, groupBy } from './aggregate.js'
import { intervalJoin, lookupJoin, streamJoin, tableJoin } from './join.js'
import { over } from './over.js'
import { select } from './select.js'
import { unionAll } from './union.js'
import { cumulating, hopping, session, tumbling } from './window.js'

export const pieces: readonly Piece[] = [
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
  distinct,
  unionAll,
  over,
]
