/** `https://host:5001/auth` or `host:5000` → `host`, without the brackets of IPv6; undefined for what is no address. */
export function hostOf(text: string): string | undefined {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`)
  return url === null || url.hostname === '' ? undefined : url.hostname.replace(/^\[|\]$/g, '')
}

/** Names of this machine alone, wherever they are used. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '')
  return name === 'localhost' || name.endsWith('.localhost') || isLoopbackAddress(name)
}

export function isLoopbackAddress(address: string): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address) || address === '::1'
}
