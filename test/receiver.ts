import { expect } from 'bun:test'

/** One notification as it arrived. */
export interface Received {
  path: string
  headers: Record<string, string>
  text: string
  event: ReceivedEvent
}

export interface ReceivedEvent {
  id: string
  timestamp: string
  action: string
  target: Record<string, unknown> & { repository?: string; tag?: string; digest?: string; references?: unknown[] }
  request: Record<string, string>
  actor: Record<string, string>
  source: Record<string, string>
}

/** A real HTTP server for webhooks, whose answer can change at any time. */
export interface WebhookReceiver {
  url: string
  port: number
  /** Requests, in order of their arrival, accepted or not. */
  received: Received[]
  /** Those that were answered with 2xx or 3xx. */
  accepted: Received[]
  /** 200 unless told. `undefined` never answers. */
  answer: (received: Received) => Response | undefined | Promise<Response | undefined>
  /** Resolves when so many were accepted. @throws Error when they do not come. */
  waitFor(count: number): Promise<Received[]>
  /** As `waitFor`, of all that arrived. */
  waitForAttempts(count: number): Promise<Received[]>
  stop(): Promise<void>
}

/** Milliseconds; only to end a test that would wait for ever. */
const PATIENCE = 90_000

export function startReceiver(port = 0): WebhookReceiver {
  const waiting = new Set<() => void>()
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const text = await request.text()
      const envelope = JSON.parse(text) as { events: ReceivedEvent[] }
      expect(request.method).toBe('POST')
      expect(envelope.events).toHaveLength(1)
      const [event] = envelope.events
      if (event === undefined) throw new Error('an empty envelope')
      const path = new URL(request.url).pathname
      const one = { path, headers: Object.fromEntries(request.headers), text, event }
      receiver.received.push(one)
      for (const look of waiting) look()
      const answer = await receiver.answer(one)
      if (answer === undefined) return await new Promise<Response>(() => {})
      if (answer.status < 400) receiver.accepted.push(one)
      for (const look of waiting) look()
      return answer
    },
  })

  async function until(list: Received[], count: number): Promise<Received[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (list.length >= count) resolve()
    }
    const shown = () => list.map(({ event }) => `${event.action} ${event.target.repository}`).join(', ')
    const timer = setTimeout(() => reject(new Error(`${list.length} of ${count} came: ${shown()}`)), PATIENCE)
    waiting.add(look)
    look()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      waiting.delete(look)
    }
    return list
  }

  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${server.port}/hook`,
    port: server.port ?? 0,
    received: [],
    accepted: [],
    answer: () => new Response('thank you'),
    waitFor: (count) => until(receiver.accepted, count),
    waitForAttempts: (count) => until(receiver.received, count),
    stop: () => server.stop(true),
  }
  return receiver
}
