import { createHash } from 'node:crypto'

/** A piece of a page. Only `html` makes one, so that every value in it is escaped. */
export interface Html {
  readonly markup: string
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '')
}

/** Markup with values: texts are escaped, pieces and lists of pieces stand as they are. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Html | readonly Html[])[]): Html {
  const spelled = values.map((value) => {
    if (typeof value === 'string') return escapeText(value)
    return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('')
  })
  return { markup: parts.map((part, i) => part + (spelled[i] ?? '')).join('') }
}

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --button: #1f5fbf; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre code { user-select: all; -webkit-user-select: all; }
a.button { display: inline-block; background: var(--button); color: #fff; border-radius: .4rem; padding: .6rem 1.2rem; text-decoration: none; }
a.button:focus-visible { outline: 3px solid; outline-offset: 2px; }
li { margin: .6rem 0; list-style: none; }
ul { padding: 0; }
`

/**
 * Nothing but this style: no script, no image, nothing from elsewhere, no frame around it. Sign-in begins with a link, for
 * browsers hold `form-action` against every redirect that follows a form.
 */
const makePolicy = () =>
  [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
let policy: string | undefined

/** What every answer of sign-in carries: some show a token, and their URLs a code. */
export function guards(): Readonly<Record<string, string>> {
  policy ??= makePolicy()
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': policy,
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  }
}

export function document(title: string, body: Html): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`
  return page.markup
}
