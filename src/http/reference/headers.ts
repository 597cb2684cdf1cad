const text = { type: 'string' } as const

/** Headers of answers, as they are described. */
export const HEADERS = {
  'Docker-Content-Digest': {
    description: 'Digest of the content (`sha256:…` or `sha512:…`)',
    schema: { type: 'string', pattern: '^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$' },
  },
  ETag: { description: 'The digest in quotes', schema: text },
  'Accept-Ranges': { description: '`bytes`', schema: text },
  'Content-Range': { description: 'What part the body is, or `bytes */SIZE`', schema: text },
  Location: { description: 'URL of what was made, or of the upload from here on', schema: text },
  Range: {
    description: '`0-LAST`: what the upload has; `0-0` as long as it has nothing, too',
    schema: { type: 'string', pattern: '^0-\\d+$' },
  },
  'Docker-Upload-UUID': { description: 'Id of the upload', schema: text },
  'OCI-Chunk-Min-Length': {
    description: 'Bytes that a chunk should have, where the configuration names them',
    schema: text,
  },
  'OCI-Subject': { description: 'Digest of the subject of the manifest: its referrers list it now', schema: text },
  'OCI-Tag': { description: 'A tag that was set; one line each', schema: text },
  'OCI-Filters-Applied': { description: '`artifactType`', schema: text },
  Link: { description: '`<…>; rel="next"`: the page that follows (RFC 8288)', schema: text },
  'Retry-After': { description: 'Seconds after which to come again', schema: { type: 'string', pattern: '^\\d+$' } },
  'WWW-Authenticate': { description: 'Where to get which token, or that a password is wanted', schema: text },
  'Cache-Control': { description: 'Whether it may be kept', schema: text },
  Allow: { description: 'Methods that there are', schema: text },
} as const

export type HeaderName = keyof typeof HEADERS
