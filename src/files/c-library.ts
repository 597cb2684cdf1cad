import { dlopen, type FFIFunction } from 'bun:ffi'

/** As the loader names it: glibc, musl. */
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']

/** Functions of the C library; undefined where there is none, or one without them. */
export function openCLibrary<const Functions extends Record<string, FFIFunction>>(functions: Functions) {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, functions).symbols
    } catch {
      // Another library, then.
    }
  }
  return undefined
}
