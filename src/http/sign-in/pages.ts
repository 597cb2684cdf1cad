import type { Concluded } from '../../auth/sign-in.ts'
import { document, type Html, html } from './html.ts'

/** One answer in two forms: for browsers, and for everything else (curl). */
export interface Page {
  html: string
  text: string
}

interface Link {
  title: string
  /** Path of the provider's page. */
  path: string
}

export function startPage({ title, path }: Link, url: string): Page {
  return {
    html: document(
      `Sign in with ${title}`,
      html`<p>You get a token for <code>docker login</code> once ${title} has told who you are.</p>
<p><a class="button" href="${path}?start=1" rel="nofollow">Sign in with ${title}</a></p>`,
    ),
    text: `To sign in with ${title}, open this address in a browser: ${url}\n`,
  }
}

export function indexPage(links: readonly Link[], base: string): Page {
  const items = links.map(
    ({ title, path }) => html`<li><a class="button" href="${path}">Sign in with ${title}</a></li>
`,
  )
  return {
    html: document('Sign in', html`<ul>\n${items}</ul>`),
    text: `To sign in, open one of these addresses in a browser:\n${links.map(({ path }) => `${base}${path}\n`).join('')}`,
  }
}

/** `again`: where to start anew; undefined where that would not help. */
export function errorPage(message: string, again: string | undefined): Page {
  const link = again === undefined ? html`` : html`\n<p><a class="button" href="${again}">Start again</a></p>`
  return { html: document('You are not signed in', html`<p>${message}</p>${link}`), text: `${message}\n` }
}

/** @param registry what `docker login` takes: a host, perhaps with a port. */
export function donePage({ account, token, expiresAt }: Concluded, registry: string): Page {
  const commands = commandsFor(account, token, registry)
  const expiry =
    expiresAt === undefined ? 'It does not expire.' : `It expires on ${dateOf(expiresAt)}; sign in again then.`
  const note = `This token is shown only once. ${expiry}`
  const block = (code: string): Html => html`<pre><code>${code}</code></pre>\n`
  return {
    html: document(
      'You are signed in',
      html`<p>Your account is <strong>${account}</strong>.</p>
<h2>Your token</h2>
${block(token)}<p>${note}</p>
<h2>Log in with it</h2>
${commands.map(block)}`,
    ),
    text: `Account: ${account}\nToken: ${token}\n${note}\n\n${commands.map((command) => `  ${command}\n`).join('')}`,
  }
}

/** The second keeps the token out of the list of processes. */
function commandsFor(account: string, token: string, registry: string): string[] {
  const [user, secret, host] = [shellQuote(account), shellQuote(token), shellQuote(registry)]
  return [
    `docker login -u ${user} -p ${secret} ${host}`,
    `echo ${secret} | docker login -u ${user} --password-stdin ${host}`,
    `podman login -u ${user} -p ${secret} ${host}`,
    `nerdctl login -u ${user} -p ${secret} ${host}`,
  ]
}

/** One word for a POSIX shell, whatever stands in it. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** `2026-01-05 12:00 UTC` */
function dateOf(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
