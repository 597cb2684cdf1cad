import { expect, test } from 'bun:test'
import { BERTH } from '../test/start-berth.ts'

test('a reader that has seen enough is no failure of the command', async () => {
  // The reader has ended before the command begins, so that its first write finds a closed pipe.
  const script = 'exec > >(true); wait $!; exec "$0" config schema'
  const command = Bun.spawn(['bash', '-c', script, BERTH], { stdout: 'ignore', stderr: 'pipe' })
  const [error, code] = await Promise.all([command.stderr.text(), command.exited])
  expect({ error, code }).toEqual({ error: '', code: 0 })
}, 60_000)
