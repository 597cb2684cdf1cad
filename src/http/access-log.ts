import { visibleQuoted } from '../telemetry/visible.ts'
import { plainAddress } from './peer.ts'
import { isProbe } from './probes.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Apache's combined log format, which registry:2 writes to standard output. `now` is in milliseconds. */
export function createAccessLog(write: (line: string) => void, now: () => number) {
  let second = -1
  let stamp = ''

  function timestamp(): string {
    const current = Math.floor(now() / 1000)
    if (current !== second) {
      second = current
      const date = new Date(current * 1000)
      const two = (value: number) => String(value).padStart(2, '0')
      const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`
      stamp = `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
    }
    return stamp
  }

  return (request: Request, response: Response, peer: string | undefined): void => {
    const { url, method, headers } = request
    const start = url.startsWith('/') ? 0 : Math.max(0, url.indexOf('/', url.indexOf('://') + 3))
    // They come every few seconds, and say nothing as long as all is well.
    if (response.status === 200 && isProbe(url.slice(start))) return
    const client = peer === undefined ? '-' : plainAddress(peer)
    const size = response.headers.get('content-length') ?? '-'
    const referer = quote(withoutSecrets(headers.get('referer') ?? ''))
    const agent = quote(headers.get('user-agent') ?? '')
    write(
      `${client} - - [${timestamp()}] ${quote(`${method} ${withoutSecrets(url.slice(start))} HTTP/1.1`)} ${response.status} ${size} ${referer} ${agent}`,
    )
  }
}

/** Parameters of the token endpoint and of sign-in that let somebody in, and whatever else is called so. */
const SECRET_NAME = /pass|secret|token|code|assertion|authorization|credential|^state$/i
const NO_SECRET = new Set(['offline_token'])

/** Only the values go: that somebody sends a password in a URL is what an operator wants to find. */
export function withoutSecrets(url: string): string {
  if (!url.includes('?')) return url
  return url.replace(/([?&;#])([^=&;#?]*)=([^&;#?]*)/g, (pair, before: string, spelled: string) => {
    const name = spelled.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    return SECRET_NAME.test(name) && !NO_SECRET.has(name) ? `${before}${spelled}=***` : pair
  })
}

/** Header values and paths can hold anything but line breaks. */
function quote(text: string): string {
  return `"${visibleQuoted(text)}"`
}
