import { essenceOf } from '../../oci/media-type.ts'
import { readWhole } from '../body.ts'

/** Bytes of a form body at most. */
export const MAX_BODY = 64 * 1024

/** Values by name, in order: those of the body first, then those of the URL. */
export type Form = ReadonlyMap<string, readonly string[]>

/** The body is larger than MAX_BODY. */
export class BodyTooLargeError extends Error {}

/**
 * A request's parameters as Go's `ParseMultipartForm` reads them: the body counts for POST, PUT and PATCH, urlencoded or
 * multipart; what cannot be decoded is left out in silence.
 * @throws BodyTooLargeError
 */
export async function readForm(request: Request, query: string): Promise<Form> {
  const form = new Map<string, string[]>()
  const { method } = request
  const type = request.headers.get('content-type') ?? ''
  const essence = essenceOf(type)
  const multipart = essence === 'multipart/form-data'
  const takesBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const reads = takesBody && (multipart || essence === 'application/x-www-form-urlencoded')
  const body = reads ? await readBody(request) : new Uint8Array()
  if (reads && !multipart) parsePairs(Buffer.from(body).toString('latin1'), form)
  parsePairs(query, form)
  // Go puts the parts behind both.
  if (reads && multipart) await parseParts(body, type, form)
  return form
}

export function firstOf(form: Form, name: string): string {
  return form.get(name)?.[0] ?? ''
}

async function readBody(request: Request): Promise<Uint8Array> {
  const body = await readWhole(request, MAX_BODY)
  if (body === undefined) throw new BodyTooLargeError()
  return body
}

async function parseParts(body: Uint8Array<ArrayBufferLike>, type: string, form: Map<string, string[]>): Promise<void> {
  try {
    const parts = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData()
    for (const [name, value] of parts) {
      if (typeof value === 'string') add(form, name, value)
    }
  } catch {
    // Not a multipart body after all: no parameters, as for every other body that is no form.
  }
}

/** Go's `url.ParseQuery`: a pair with a raw `;` or a bad escape is dropped, the others count. */
function parsePairs(text: string, form: Map<string, string[]>): void {
  for (const pair of text.split('&')) {
    if (pair === '' || pair.includes(';')) continue
    const equals = pair.indexOf('=')
    const name = decodeQuery(equals === -1 ? pair : pair.slice(0, equals))
    const value = decodeQuery(equals === -1 ? '' : pair.slice(equals + 1))
    if (name !== undefined && value !== undefined) add(form, name, value)
  }
}

function add(form: Map<string, string[]>, name: string, value: string): void {
  const values = form.get(name)
  if (values === undefined) form.set(name, [value])
  else values.push(value)
}

const PLAIN = /^[!-$&-*,-~]*$/

/** Go's `url.QueryUnescape`; undefined for a bad escape. Bytes that are no UTF-8 become U+FFFD. */
function decodeQuery(text: string): string | undefined {
  if (PLAIN.test(text)) return text
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
