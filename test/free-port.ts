import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'

/** Ports below are other programs' by custom. */
const LOWEST = 10_000
/** Of the loopback interface; no program listens there. */
const MARKS = '127.77.77.77'
const ATTEMPTS = 500

/**
 * A port at which nobody listens, for a configuration that has to name one beforehand, or for a server that is not there. It is the
 * caller's until this process ends, however late a program takes it: the system gives it to nobody who asks for any port, for it is
 * below those, and no other test has it, for each marks its own with a UDP socket, which is in no server's way.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (firstGivenPort() - LOWEST))
    if ((await mark(port)) && nobodyListensAt(port)) return port
  }
  throw new Error('no port is free')
}

/** The first of those that the system gives to whoever asks for any. */
function firstGivenPort(): number {
  const [first = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)
  return Number(first)
}

/** Resolves to whether it was nobody's. */
async function mark(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createSocket('udp4')
  socket.once('error', () => resolve(false))
  socket.bind({ port, address: MARKS, exclusive: true }, () => {
    socket.unref()
    resolve(true)
  })
  return await promise
}

function nobodyListensAt(port: number): boolean {
  try {
    Bun.listen({ hostname: '0.0.0.0', port, socket: { data() {} } }).stop(true)
    return true
  } catch {
    return false
  }
}
