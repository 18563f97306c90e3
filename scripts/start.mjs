// `npm start`: installs what is missing, builds what is out of date, and runs the demonstration.

import { join } from 'node:path'
import { installPackages } from './setup.mjs'
import { requireTools, run } from './tools.mjs'

requireTools()
installPackages()
run(process.execPath, [join('scripts', 'build.mjs')])
run(process.execPath, ['--import', '@oxc-node/core/register', join('scripts', 'demo', 'main.ts')])
