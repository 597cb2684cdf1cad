import { type Moment, stringsOf } from './trace.ts'

/** A 201 that a server sent, found in its trace. */
export interface Created {
  /** Index of the moment in which it began to leave. */
  at: number
  /** Path of its Location: `/v2/<name>/blobs/<digest>`, or `.../manifests/<digest>`. */
  path: string
}

const CREATED = /^HTTP\/1\.1 201 /
const LOCATION = /^Location: (?:https?:\/\/[^/]+)?(\/\S+)\r$/im

export function createdAnswers(moments: readonly Moment[]): Created[] {
  const found: Created[] = []
  moments.forEach(({ moment, call }, at) => {
    if (moment !== 'begin' || !/^(?:send|write)/.test(call.name) || !call.text.includes('HTTP/1.1 201')) return
    for (const text of stringsOf(call).map(String)) {
      const path = CREATED.test(text) ? LOCATION.exec(text)?.[1] : undefined
      if (path !== undefined) found.push({ at, path })
    }
  })
  return found
}
