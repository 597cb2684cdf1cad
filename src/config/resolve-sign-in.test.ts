import { describe, expect, test } from 'bun:test'
import { lines, loadTokenServerText } from './fixtures/load-text.ts'

const app = 'client_id: i, client_secret: s'
const program = 'ext_auth: {command: sh}'
const github = `github_auth: {${app}}`
const gitlab = `gitlab_auth: {${app}}`
const google = `google_auth: {${app}}`
const oidc = (more: string) =>
  `oidc_auth: {${app}, issuer: "https://i.example", redirect_url: "https://r.example/oidc_auth"${more}}`
// biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the configuration
const search = 'addr: "h:636", base: o=x, filter: "(uid=${account})"'
const bound = `ldap_auth: {${search}, initial_bind_as_user: true, bind_dn: "uid=\${account},o=x"}`

function load(...sources: string[]) {
  const base = 'server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 900}\nacl: []\n'
  return loadTokenServerText({ authFile: base + sources.join('\n') })
}

describe('sign-in under names that people choose, beside a directory that every user asks for himself', () => {
  const place = '4: ldap_auth.initial_bind_as_user'
  const text = (kind: string) =>
    `does not tell which names the directory has, so people who sign in (${kind}_auth) could take the name of an account there`

  test.each<[string, string[], string[]]>([
    ['is refused where everybody may', [github], [`${place}: ${text('github')}`]],
    ['is refused once for several providers', [github, gitlab], [`${place}: ${text('github_auth, gitlab')}`]],
    ['is taken with a warning for members', [`github_auth: {${app}, organization: o}`], []],
    ['is taken with a warning for people of an OpenID provider', [oidc(', user_claim: login')], []],
    ['is taken by an address that Google has verified', [google], []],
    ['is taken by the address that a provider tells', [oidc('')], []],
  ])('%s', (_, sources, expected) => {
    const { problems, warnings } = load(bound, ...sources)
    expect(lines(problems).map((line) => line.replace('auth_config.yml:', ''))).toEqual(expected)
    const names = lines(warnings).filter((line) => line.includes('could take the name'))
    expect(names).toHaveLength(_.includes('warning') ? 1 : 0)
  })

  test.each<[string, string[]]>([
    ['beside a program, which is asked first', [program, github]],
    ['beside a directory that can be searched', [`ldap_auth: {${search}}`, github]],
    ['beside nothing else', [github, gitlab]],
  ])('is taken %s', (_, sources) => {
    expect(lines(load(...sources).problems)).toEqual([])
  })
})
