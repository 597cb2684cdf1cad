/** Every spelling in which a secret could come into a log: as it is, in base64, in a URL, in JSON. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const url = encodeURIComponent(secret)
  return [
    ...new Set([
      secret,
      bytes.toString('hex'),
      ...[bytes.toString('base64'), bytes.toString('base64url')].map((text) => text.replace(/=+$/, '')),
      ...insideBase64(bytes),
      url,
      url.replaceAll('%20', '+'),
      new URLSearchParams({ x: secret }).toString().slice(2),
      JSON.stringify(secret).slice(1, -1),
    ]),
  ]
}

/** Its base64 where something stands before it (`USER:PASSWORD`): without what the neighbours change. */
function insideBase64(bytes: Buffer): string[] {
  return [1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    return encoded.slice(4, -4)
  })
}

/** The names of secrets that a text holds in some form, each with the form. */
export function leaksIn(text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret)
      .filter((form) => text.includes(form))
      .map((form) => `${name}: ${form}`),
  )
}
