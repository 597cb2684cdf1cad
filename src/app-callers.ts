import { textOf } from './auth/authenticator.ts'
import { parseBasic } from './auth/credentials.ts'
import { type Login, ThrottledError } from './auth/login.ts'
import type { ApiDeps, Identity } from './http/api/api.ts'
import { plainAddress } from './http/peer.ts'
import type { AuditRow } from './metadata/metadata.ts'

/** Who calls the admin API, by the sources of users of the moment. A login that fails is recorded, as one for a token is. */
export function createWhoIs(deps: {
  /** Undefined where there are no users. */
  login: () => Login | undefined
  /** Milliseconds since the epoch. */
  now: () => number
  record: (row: AuditRow) => void
}): ApiDeps['whoIs'] {
  const { login, now, record } = deps

  function refused(account: string, address: string | undefined, detail: string): void {
    const from = address === undefined ? '' : plainAddress(address)
    const nothing = { source: '', service: '', granted: '', rules: '' }
    record({ ...nothing, at: now(), kind: 'sign-in', account, address: from, asked: 'api', outcome: 'refused', detail })
  }

  async function ask(account: string, password: string, address: string | undefined): ReturnType<Login> {
    try {
      const outcome = account === '' ? undefined : await login()?.(account, password, address)
      if (typeof outcome !== 'object') refused(account, address, WRONG)
      return outcome ?? 'no-match'
    } catch (error) {
      refused(account, address, error instanceof ThrottledError ? error.message : textOf(error))
      throw error
    }
  }

  return async (request, address): Promise<Identity> => {
    const header = request.headers.get('authorization')
    if (header === null) return 'anonymous'
    const credentials = parseBasic(header)
    if (credentials === undefined) {
      refused('', address, UNREADABLE)
      return 'refused'
    }
    const { user: account, password } = credentials
    const outcome = await ask(account, password, address)
    if (typeof outcome !== 'object') return 'refused'
    const token = outcome.token === undefined ? {} : { token: { limited: outcome.limits !== undefined } }
    return { account, source: outcome.source ?? '', admin: outcome.admin === true, ...token }
  }
}

const WRONG = 'the name or the password is wrong'
const UNREADABLE = 'the credentials are not those of Basic'
