// Installs the npm packages that the lock file names, unless they are installed.

import { join } from 'node:path'
import { newest, root, run } from './tools.mjs'

export function installPackages() {
  const installed = newest(join(root, 'node_modules', '.package-lock.json'))
  if (installed > 0 && installed >= newest(join(root, 'package-lock.json'))) return
  run('npm', ['ci', '--no-audit', '--no-fund'])
}
