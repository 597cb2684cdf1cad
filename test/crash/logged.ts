import { expect } from 'bun:test'
import type { Berth } from '../start-berth.ts'

/** Milliseconds; only to end a test that would wait for ever. */
const PATIENCE = 90_000
const POLL = 20

/** Resolves once the server has written the text. */
export async function logged(berth: Pick<Berth, 'log'>, text: string): Promise<void> {
  for (let waited = 0; waited < PATIENCE && !berth.log().includes(text); waited += POLL) await Bun.sleep(POLL)
  expect(berth.log()).toContain(text)
}
