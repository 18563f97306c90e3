/**
 * Lets a row through the code that rows cross by, once per thread: V8 compiles a function when it is first called, and the
 * first answer would wait for that. `open` has the time.
 */

import type { Engine } from './engine.js'
import { createDecoder } from './marshal/decoder.js'
import { createEncoder } from './marshal/encoder.js'
import type { Column } from './types.js'

const columns: Column[] = [
  { name: 'text', type: 'STRING', nullable: true, key: false },
  { name: 'number', type: 'INT', nullable: true, key: false },
]

let isWarm = false

export function warmUp(engine: Engine): void {
  if (isWarm) return
  isWarm = true
  engine.withBlock((block) => createEncoder('', columns).encodeAll([{ text: 'a', number: 1 }], block))
  const { memory, values } = engine
  // One row, all of it NULL.
  memory.u32[0] = 1
  createDecoder(columns, values).changes(memory)
}
