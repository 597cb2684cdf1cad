import { isIP } from '../oci/ip-address.ts'
import type { EventCause } from '../registry/events.ts'
import type { Call } from './call.ts'
import { plainAddress } from './peer.ts'

/** Characters of a header that a row keeps: a stranger may send many more. */
const MAX_TEXT = 1000

/** What a notification says of the request behind it (distribution: notifications/bridge.go, NewRequestRecord). */
export function causeOf(call: Call): EventCause {
  const { request, subject } = call
  const { headers, method } = request
  return {
    actor: subject.name,
    base: call.base(),
    request: {
      id: crypto.randomUUID(),
      addr: remoteOf(call),
      host: headers.get('host')?.slice(0, MAX_TEXT),
      method,
      useragent: (headers.get('user-agent') ?? '').slice(0, MAX_TEXT),
    },
  }
}

/** As Go has it: with the port where the client is the peer itself, without where a proxy named it. */
function remoteOf({ address, connection }: Call): string | undefined {
  const client = address()
  const peer = connection.peer()
  const port = connection.port?.()
  if (client === undefined || peer === undefined || port === undefined || plainAddress(peer) !== client) return client
  return isIP(client) === 6 ? `[${client}]:${port}` : `${client}:${port}`
}
