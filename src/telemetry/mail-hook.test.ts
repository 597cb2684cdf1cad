import { afterAll, beforeAll, expect, test } from 'bun:test'
import { SMTPServer } from 'smtp-server'
import type { LogEntry } from './log.ts'
import { createMailHook, type MailOptions } from './mail-hook.ts'

const received: { from: string; to: string[]; text: string; user: string | undefined }[] = []
const server = new SMTPServer({
  disabledCommands: ['STARTTLS'],
  authOptional: true,
  allowInsecureAuth: true,
  onAuth({ username, password }, _session, done) {
    if (password === 'right') done(null, { user: username ?? '' })
    else done(new Error('no'))
  },
  onData(stream, session, done) {
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    stream.on('end', () => {
      const { mailFrom, rcptTo } = session.envelope
      const from = mailFrom === false ? '' : mailFrom.address
      received.push({ from, to: rcptTo.map(({ address }) => address), text, user: session.user?.toString() })
      done()
    })
  },
})
let port = 0
beforeAll(async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listening = server.listen(0, '127.0.0.1', () => resolve())
  await promise
  const address = listening.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})
afterAll(() => server.close())

const entry = (level: LogEntry['level'], message: string, fields: LogEntry['fields'] = {}): LogEntry => ({
  time: '2026-01-01T00:00:00.000Z',
  level,
  message,
  fields,
})

function hookOf(options: Partial<MailOptions> = {}) {
  const told: string[] = []
  const base = {
    levels: ['error'],
    host: '127.0.0.1',
    port,
    insecure: false,
    from: 'a@b.example',
    to: ['c@d.example'],
  } as const
  const hook = createMailHook(
    { ...base, username: undefined, password: undefined, ...options },
    {
      failed: (error) => told.push(`failed: ${error instanceof Error ? error.message : error}`),
      sent: (lines) => told.push(`sent ${lines}`),
    },
  )
  return { ...hook, told }
}

test('lines of its levels go out in one mail, whose subject is one line', async () => {
  const { hook, close, told } = hookOf({ username: 'u', password: 'right' })
  hook(entry('info', 'not this one'))
  hook(entry('error', 'broken\r\nBcc: x@y.example', { 'err.code': 'unknown' }))
  hook(entry('error', 'again'))
  await close()
  expect(told).toEqual(['sent 2'])
  const [mail] = received
  expect(mail).toMatchObject({ from: 'a@b.example', to: ['c@d.example'], user: 'u' })
  const [head = '', body = ''] = (mail?.text ?? '').split('\r\n\r\n', 2)
  expect(head).toContain('Subject: [error] 127.0.0.1: broken Bcc: x@y.example')
  expect(head).not.toMatch(/^Bcc:/m)
  expect(body).toContain('err.code: unknown')
  expect(mail?.text).toContain('again')
  expect(mail?.text).not.toContain('not this one')
})

test('a mail that is refused is told of, and nothing is thrown', async () => {
  const { hook, close, told } = hookOf({ username: 'u', password: 'wrong' })
  hook(entry('error', 'x'))
  await close()
  expect(told).toEqual([expect.stringContaining('failed: ')])
  expect(told[0]).not.toContain('wrong')
})

test('lines past what a mail holds are counted', async () => {
  const before = received.length
  const { hook, close, told } = hookOf()
  for (let i = 0; i < 250; i++) hook(entry('error', `line ${i}`))
  await close()
  expect(told).toEqual(['sent 250'])
  expect(received).toHaveLength(before + 1)
  expect(received.at(-1)?.text).toContain('150 more lines came')
})
