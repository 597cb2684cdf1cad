import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { BunPlugin } from 'bun'

/**
 * Modules of the runtime that are many lines of script themselves, read when one is first imported: 2 to 15 ms each. A server
 * starts without most of them.
 */
const HEAVY = [
  'async_hooks',
  'child_process',
  'crypto',
  'fs/promises',
  'module',
  'net',
  'readline',
  'stream',
  'stream/promises',
  'timers/promises',
  'tls',
  'util',
  'zlib',
]

/** Has each of them loaded when something of it is first used, in place of when it is imported. */
export const later: BunPlugin = {
  name: 'later',
  setup(build) {
    const imported = new RegExp(`from (['"])node:(${HEAVY.join('|')})\\1`, 'g')
    const load = createRequire(import.meta.url)
    // Before any plug-in is asked, `node:` has been taken for the runtime's.
    build.onLoad({ filter: /\.(ts|js|mjs)$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      const contents = text.replace(imported, "from 'later:$2'").replace(/^import process from .node:process.;?/m, '')
      return contents === text ? undefined : { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' }
    })
    // Fifty languages of zod's messages, of which one is spoken here.
    build.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      loader: 'js',
      contents: "export { default as en } from './en.js'",
    }))
    build.onResolve({ filter: /^later:/ }, ({ path }) => ({ path: path.slice('later:'.length), namespace: 'later' }))
    build.onLoad({ filter: /./, namespace: 'later' }, ({ path }) => ({
      loader: 'js',
      contents: `
        for (const name of ${JSON.stringify(Object.keys(load(`node:${path}`)))}) {
          Object.defineProperty(module.exports, name, {
            configurable: true,
            enumerable: true,
            get() {
              const value = process.getBuiltinModule('node:${path}')[name]
              Object.defineProperty(module.exports, name, { value })
              return value
            },
          })
        }`,
    }))
  },
}
