import { type Identity, SignInError, type SignInProvider } from './sign-in.ts'
import {
  asObject,
  asText,
  discard,
  expectJson,
  getAs,
  type OAuthClient,
  readJson,
  redeemCode,
  type UpstreamFetch,
} from './sign-in-upstream.ts'

export interface GithubOptions extends OAuthClient {
  /** Undefined: everybody who has an account there. */
  organization: string | undefined
  /** Without a slash at its end. */
  webUri: string
  apiUri: string
  httpTimeoutMs: number
  registryUrl: string | undefined
  tokenLifeMs: number
  fetch?: UpstreamFetch | undefined
}

const TITLE = 'GitHub'
const API_HEADERS = { Accept: 'application/vnd.github+json', 'X-GitHub-Api-Version': '2022-11-28' }
/** Pages of 100 teams. */
const MAX_PAGES = 20
/** A sign-in takes several exchanges: how many times the limit of one all of them may take. */
const PATIENCE = 3

/**
 * GitHub: the account is the login name. With `organization` its members alone get in, and the label `teams` holds the
 * slugs of their teams there and of the teams that these belong to.
 */
export function createGithubSignIn(options: GithubOptions): SignInProvider {
  const { clientId, organization, webUri, apiUri } = options
  const upstream = { title: TITLE, httpTimeoutMs: options.httpTimeoutMs, fetch: options.fetch }

  async function get(path: string, token: string, deadline: AbortSignal) {
    return await getAs(upstream, `${apiUri}${path}`, token, deadline, API_HEADERS)
  }

  /** @throws SignInError unless the person is an active member. */
  async function checkMember(org: string, token: string, deadline: AbortSignal): Promise<void> {
    const answer = await get(`/user/memberships/orgs/${encodeURIComponent(org)}`, token, deadline)
    if (answer.status === 403) {
      await discard(answer)
      const text = `GitHub does not tell whether you are a member of ${org}: an owner of ${org} must approve this application.`
      throw new SignInError('refused', text)
    }
    if (answer.status !== 404) {
      const membership = asObject(await expectJson(TITLE, answer))
      const named = asText(asObject(membership?.organization)?.login)
      if (membership?.state === 'active' && named?.toLowerCase() === org.toLowerCase()) return
    } else await discard(answer)
    throw new SignInError('refused', `You are not a member of ${org} on GitHub.`)
  }

  async function teams(org: string, token: string, deadline: AbortSignal): Promise<string[]> {
    const slugs = new Set<string>()
    for (let page = 1; page <= MAX_PAGES; page++) {
      const answer = await get(`/user/teams?per_page=100&page=${page}`, token, deadline)
      if (answer.status !== 200) await expectJson(TITLE, answer)
      const list = await readJson(TITLE, answer)
      if (!Array.isArray(list)) throw new SignInError('failed', 'GitHub answers with no list of teams.')
      for (const team of list.map(asObject)) {
        if (asText(asObject(team?.organization)?.login)?.toLowerCase() !== org.toLowerCase()) continue
        for (const slug of [asText(team?.slug), asText(asObject(team?.parent)?.slug)]) {
          if (slug !== undefined) slugs.add(slug)
        }
      }
      if (!/;\s*rel="?next"?/.test(answer.headers.get('link') ?? '')) return [...slugs].sort()
    }
    // Half a list is no answer: a rule that denies a team would not see it.
    throw new SignInError('failed', `You are in more than ${MAX_PAGES * 100} teams on GitHub.`)
  }

  return {
    kind: 'github',
    title: TITLE,
    redirectUri: undefined,
    registryUrl: options.registryUrl,
    tokenLifeMs: options.tokenLifeMs,

    async authorizationUrl({ state, codeChallenge, redirectUri }) {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        // Without an organization only the public profile is read, for which no scope is needed.
        ...(organization === undefined ? {} : { scope: 'read:org' }),
        state,
        code_challenge: codeChallenge,
        code_challenge_method: 'S256',
      })
      return `${webUri}/login/oauth/authorize?${query}`
    },

    async identify(proof): Promise<Identity> {
      const deadline = AbortSignal.timeout(PATIENCE * options.httpTimeoutMs)
      const token = await redeemCode(upstream, `${webUri}/login/oauth/access_token`, options, proof, deadline)
      const user = asObject(await expectJson(TITLE, await get('/user', token, deadline)))
      const account = asText(user?.login)
      if (account === undefined) throw new SignInError('failed', 'GitHub does not tell who you are.')
      if (organization === undefined) return { account, labels: {} }
      await checkMember(organization, token, deadline)
      return { account, labels: { teams: await teams(organization, token, deadline) } }
    },
  }
}
