/** `npm start`: real flights through streaming SQL, at a pace for watching on a terminal, at full speed piped. */

import { replay } from './flights.js'
import { PlainView, TerminalView } from './view.js'

const paceMs = 25

if (process.stdout.isTTY) await replay(new TerminalView(process.stdout), paceMs)
else await replay(new PlainView((line) => process.stdout.write(`${line}\n`)))
