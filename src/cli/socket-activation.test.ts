import { expect, test } from 'bun:test'
import { refuseSocketActivation } from './socket-activation.ts'

const rows: [sentence: string, env: Record<string, string>, message: string | undefined][] = [
  ['a socket for this process is refused', { LISTEN_FDS: '1', LISTEN_PID: '7' }, 'hands over a socket (LISTEN_FDS=1)'],
  ['so are two', { LISTEN_FDS: '2', LISTEN_PID: '7' }, 'hands over 2 sockets (LISTEN_FDS=2)'],
  ['one for another process is nobody’s business', { LISTEN_FDS: '1', LISTEN_PID: '8' }, undefined],
  ['none is none', { LISTEN_FDS: '0', LISTEN_PID: '7' }, undefined],
  ['nonsense is none', { LISTEN_FDS: 'x', LISTEN_PID: '7' }, undefined],
  ['without systemd there is nothing', {}, undefined],
]
test.each(rows)('%s', (_, env, message) => {
  const work = () => refuseSocketActivation(env, 7)
  if (message === undefined) expect(work).not.toThrow()
  else expect(work).toThrow(message)
})
