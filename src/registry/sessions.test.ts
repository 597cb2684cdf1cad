import { describe, expect, test } from 'bun:test'
import { createSessions } from './sessions.ts'

describe('work for one id', () => {
  test('runs alone; the new one tells the old one to stop and waits for it', async () => {
    const sessions = createSessions()
    const events: string[] = []
    const first = sessions.exclusive('a', async ({ signal }) => {
      events.push('first begins')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      events.push(`first is told: ${signal.reason.message}`)
      await Bun.sleep(10)
      events.push('first ends')
      return 1
    })
    await Bun.sleep(1)
    const second = sessions.exclusive('a', async ({ signal }) => {
      events.push(`second begins, told to stop: ${signal.aborted}`)
      return 2
    })
    expect(await Promise.all([first, second])).toEqual([1, 2])
    expect(events).toEqual([
      'first begins',
      'first is told: another request took over this upload',
      'first ends',
      'second begins, told to stop: false',
    ])
  })

  test('comes in the order of asking, each told to stop but the last', async () => {
    const sessions = createSessions()
    const events: string[] = []
    let running = 0
    const works = Array.from({ length: 10 }, (_, index) =>
      sessions.exclusive('a', async ({ signal }) => {
        expect(++running).toBe(1)
        await Bun.sleep(1)
        events.push(`${index} ${signal.aborted}`)
        running--
      }),
    )
    await Promise.all(works)
    expect(events).toEqual(Array.from({ length: 10 }, (_, index) => `${index} ${index < 9}`))
  })

  test('goes on after work that fails', async () => {
    const sessions = createSessions()
    const failing = sessions.exclusive('a', async () => {
      throw new Error('first fails')
    })
    const next = sessions.exclusive('a', async () => 'next')
    await expect(failing).rejects.toThrow('first fails')
    expect(await next).toBe('next')
    expect(await sessions.exclusive('a', async ({ signal }) => signal.aborted)).toBe(false)
  })
})

test('work for other ids is let alone', async () => {
  const sessions = createSessions()
  const { promise, resolve } = Promise.withResolvers<void>()
  const waiting = sessions.exclusive('a', async ({ signal }) => {
    await promise
    return signal.aborted
  })
  expect(await sessions.exclusive('b', async () => 'b')).toBe('b')
  resolve()
  expect(await waiting).toBe(false)
})
