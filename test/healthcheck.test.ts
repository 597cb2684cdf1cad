import { expect, test } from 'bun:test'
import { freePort } from './free-port.ts'
import { run } from './programs.ts'
import { BERTH, startBerth } from './start-berth.ts'

const healthcheck = (...args: string[]) => run([BERTH, 'healthcheck', ...args])

test('a server with a certificate of its own is well until it stops', async () => {
  const address = `127.0.0.1:${await freePort()}`
  const berth = await startBerth({ args: ['--tls', 'auto', '--addr', address] })
  const asServed = ['--addr', address, '--data', berth.dataDirectory, '--tls', 'auto']
  try {
    expect(await healthcheck(...asServed)).toEqual({
      ...{ code: 0, stderr: '', stdout: `healthy: https://${address}/readyz answers 200\n` },
    })
    expect(await healthcheck('--url', `https://${address}/v2/`)).toEqual({
      ...{ code: 0, stderr: '', stdout: `healthy: https://${address}/v2/ answers 401\n` },
    })
    await berth.stop()
    expect(await healthcheck(...asServed)).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^berth: unhealthy: https:\/\/[0-9.:]+\/readyz does not answer: [^\n]+\n$/),
    })
  } finally {
    await berth.dispose()
  }
})

test('a server on a port that the system chose is asked on its control socket', async () => {
  const berth = await startBerth({ args: ['--addr', '127.0.0.1:0'] })
  try {
    expect(await healthcheck('--addr', '127.0.0.1:0', '--data', berth.dataDirectory)).toEqual({
      ...{ code: 0, stderr: '', stdout: 'healthy: the control socket answers 200\n' },
    })
  } finally {
    await berth.dispose()
  }
})
