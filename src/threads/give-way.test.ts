import { expect, test } from 'bun:test'
import { getPriority } from 'node:os'

test.skipIf(process.platform !== 'linux')('a thread that gives way does so alone', async () => {
  const program = `
    import { readlinkSync } from 'node:fs'
    import { getPriority } from 'node:os'
    const { giveWay } = await import(${JSON.stringify(new URL('give-way.ts', import.meta.url).href)})
    giveWay()
    postMessage(getPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1))))`
  const before = getPriority()
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(program)}`)
  try {
    const told = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
    })
    expect([told, getPriority()]).toEqual([Math.max(before, 10), before])
  } finally {
    worker.terminate()
  }
})
