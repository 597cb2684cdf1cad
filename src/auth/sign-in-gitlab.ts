import { type Identity, SignInError, type SignInProvider } from './sign-in.ts'
import {
  asObject,
  asText,
  expectJson,
  getAs,
  type OAuthClient,
  redeemCode,
  type UpstreamFetch,
} from './sign-in-upstream.ts'

export interface GitlabOptions extends OAuthClient {
  /** Full path of a group; undefined: everybody who has an account there. */
  organization: string | undefined
  /** Without a slash at its end. */
  webUri: string
  apiUri: string
  redirectUri: string | undefined
  httpTimeoutMs: number
  registryUrl: string | undefined
  tokenLifeMs: number
  fetch?: UpstreamFetch | undefined
}

const TITLE = 'GitLab'
/** A sign-in takes several exchanges: how many times the limit of one all of them may take. */
const PATIENCE = 3

/**
 * GitLab: the account is the user name. With `organization` the members of that group alone get in (those of one of its
 * subgroups alone do not), and the label `groups` holds the full paths of their groups within it.
 *
 * Groups come from the OpenID Connect user information, whose scope `openid` reveals no more than them; the list of groups
 * in the API would need `read_api`, which opens every project of the person.
 */
export function createGitlabSignIn(options: GitlabOptions): SignInProvider {
  const { clientId, organization, webUri, apiUri } = options
  const upstream = { title: TITLE, httpTimeoutMs: options.httpTimeoutMs, fetch: options.fetch }

  async function groupsWithin(group: string, account: string, token: string, deadline: AbortSignal): Promise<string[]> {
    const info = asObject(await expectJson(TITLE, await getAs(upstream, `${webUri}/oauth/userinfo`, token, deadline)))
    // Two addresses of one installation must speak of one person.
    if (asText(info?.nickname) !== account) {
      throw new SignInError('failed', 'GitLab gives two different names for you.')
    }
    const groups = Array.isArray(info?.groups) ? info.groups.filter((path) => asText(path) !== undefined) : []
    // Paths of groups do not differ by case alone.
    const wanted = group.toLowerCase()
    const own = groups.map(String).filter((path) => `${path.toLowerCase()}/`.startsWith(`${wanted}/`))
    if (own.some((path) => path.toLowerCase() === wanted)) return own.sort()
    throw new SignInError('refused', `You are not a member of ${group} on GitLab.`)
  }

  return {
    kind: 'gitlab',
    title: TITLE,
    redirectUri: options.redirectUri,
    registryUrl: options.registryUrl,
    tokenLifeMs: options.tokenLifeMs,

    async authorizationUrl({ state, codeChallenge, redirectUri }) {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: organization === undefined ? 'read_user' : 'read_user openid',
        state,
        code_challenge: codeChallenge,
        code_challenge_method: 'S256',
      })
      return `${webUri}/oauth/authorize?${query}`
    },

    async identify(proof): Promise<Identity> {
      const deadline = AbortSignal.timeout(PATIENCE * options.httpTimeoutMs)
      const token = await redeemCode(upstream, `${webUri}/oauth/token`, options, proof, deadline)
      const user = asObject(await expectJson(TITLE, await getAs(upstream, `${apiUri}/user`, token, deadline)))
      const account = asText(user?.username)
      if (account === undefined) throw new SignInError('failed', 'GitLab does not tell who you are.')
      if (organization === undefined) return { account, labels: {} }
      return { account, labels: { groups: await groupsWithin(organization, account, token, deadline) } }
    },
  }
}
