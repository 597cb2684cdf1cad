import { parsePeer } from './ip.ts'

export interface TurnsOptions {
  /** Turns at once. */
  max: number
  /** Of them for one address (IPv6: one /64), which is less, so that it cannot take all. */
  perAddress: number
}

/** Takes a turn and returns what ends it (calling that again does nothing); undefined when there is none now. */
export type TakeTurn = (address: string | undefined) => (() => void) | undefined

/** A bound of what goes on at once. Clients whose address is not known share no more than the whole. */
export function createTurns({ max, perAddress }: TurnsOptions): TakeTurn {
  const byClient = new Map<string, number>()
  let running = 0

  return (address) => {
    const client = address === undefined ? undefined : clientOf(address)
    const own = client === undefined ? 0 : (byClient.get(client) ?? 0)
    if (running >= max || own >= perAddress) return undefined
    running++
    if (client !== undefined) byClient.set(client, own + 1)
    let open = true
    return () => {
      if (!open) return
      open = false
      running--
      if (client === undefined) return
      const left = (byClient.get(client) ?? 1) - 1
      if (left === 0) byClient.delete(client)
      else byClient.set(client, left)
    }
  }
}

function clientOf(address: string): string {
  const bytes = parsePeer(address)
  return bytes === undefined ? address : Buffer.from(bytes.length === 4 ? bytes : bytes.subarray(0, 8)).toString('hex')
}
