import { expect, test } from 'bun:test'
import { getPriority } from 'node:os'

test.skipIf(process.platform !== 'linux').each(['yielding', 'last'])(
  'a thread that gives way (%s) does so alone',
  async (how) => {
    const program = `
    import { getPriority } from 'node:os'
    const { giveWay } = await import(${JSON.stringify(new URL('give-way.ts', import.meta.url).href)})
    giveWay(${JSON.stringify(how)})
    postMessage(getPriority(0))`
    const before = getPriority(0)
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(program)}`)
    try {
      const told = await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = ({ message }) => reject(new Error(message))
      })
      expect([told, getPriority(0)]).toEqual([how === 'last' ? 19 : Math.min(19, before + 5), before])
    } finally {
      worker.terminate()
    }
  },
)
