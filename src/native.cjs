// The addon: where the build puts it, or in the package that npm chose for this platform.
//
// The loader that napi generates knows more places and libraries, and says what it tried. To read it and to look for the
// C library takes as long as to load the addon, so it has its turn where the usual names fail, or where its override is set.

/** @type {Partial<Record<NodeJS.Platform, string>>} */
const suffixes = { linux: '-gnu', win32: '-msvc' }
const name = `${process.platform}-${process.arch}${suffixes[process.platform] ?? ''}`

function usualAddon() {
  for (const place of [`../velostream.${name}.node`, `velostream-${name}`]) {
    try {
      return require(place)
    } catch {
      // The generated loader says why.
    }
  }
  return undefined
}

const isOverridden = process.env['NAPI_RS_NATIVE_LIBRARY_PATH'] !== undefined
const addon = (isOverridden ? undefined : usualAddon()) ?? require('../native.cjs')

module.exports = {
  NativeEngine: addon.NativeEngine,
  NativeProcessor: addon.NativeProcessor,
  version: addon.version,
}
