// The addon, loaded when the first engine is opened: an import does not wait for it, nor fail where it is missing.
//
// It is where the build puts it, or in the package that npm chose for this platform. The loader that napi generates knows
// more places and libraries, and says what it tried. To read it and to look for the C library takes as long as to load the
// addon, so it has its turn where the usual names fail, or where its override is set.

/** @type {Partial<Record<NodeJS.Platform, string>>} */
const suffixes = { linux: '-gnu', win32: '-msvc' }
const name = `${process.platform}-${process.arch}${suffixes[process.platform] ?? ''}`

function usual() {
  for (const place of [`../velostream.${name}.node`, `velostream-${name}`]) {
    try {
      return require(place)
    } catch {
      // The generated loader says why.
    }
  }
  return undefined
}

/** @typedef {typeof import('../native.cjs')} Addon */
/** @type {Addon | undefined} */
let loaded

/** @returns {Addon} */
function addon() {
  const isOverridden = process.env['NAPI_RS_NATIVE_LIBRARY_PATH'] !== undefined
  return (loaded ??= (isOverridden ? undefined : usual()) ?? require('../native.cjs'))
}

exports.version = () => addon().version()

/** Gives one of the addon's own. @type {(...args: ConstructorParameters<Addon['NativeEngine']>) => object} */
exports.NativeEngine = function NativeEngine(options, wake) {
  const { NativeEngine: Engine } = addon()
  return new Engine(options, wake)
}
