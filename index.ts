/**
 * Velostream: streaming SQL inside a Node.js process.
 *
 *     const db = await open()
 *     await db.exec('CREATE STREAM trades (symbol STRING, price DOUBLE)')
 *     const query = db.query('SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol EMIT CHANGES')
 *     query.on('change', ({ op, row }) => console.log(op, row))
 *     await db.insert('trades', { symbol: 'A', price: 1 })
 *     await db.flush()
 */

export { version } from '#native'
export { VelostreamError, type Diagnostic, type ErrorCode } from './src/errors.js'
export { QueryProcessor } from './src/processor.js'
export { Query, type QueryEvents } from './src/query.js'
export { StreamWriter } from './src/stream-writer.js'
export type * from './src/types.js'
export { Velostream, open, type VelostreamEvents } from './src/velostream.js'
