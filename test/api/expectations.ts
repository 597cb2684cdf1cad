import { expect } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { bytesOf, must, placeOf } from './content.ts'
import { type Answer, ask } from './exchange.ts'

/** A manifest's whole answer; `withBody` false: that of HEAD. */
export function expectManifest(
  answer: Answer,
  text: string,
  mediaType: string = MEDIA_TYPES.ociManifest,
  withBody = true,
): void {
  const digest = digestOf(bytesOf(text))
  expect(answer).toMatchObject({ status: 200, text: withBody ? text : '' })
  expect(answer.all).toMatchObject({
    'content-type': [mediaType],
    'content-length': [String(bytesOf(text).length)],
    'docker-content-digest': [digest],
    etag: [`"${digest}"`],
    'docker-distribution-api-version': ['registry/2.0'],
  })
}

/** Uploads to the registry that listens on `port` when they are used; the repository is `up` unless told. */
export function uploadsOn(port: () => number) {
  return {
    /** Begins one: its path. */
    async start(repository = 'up'): Promise<string> {
      return placeOf(await must(202, ask(port(), 'POST', `/v2/${repository}/blobs/uploads/`)))
    },

    /** What an answer about a running upload says. */
    expectProgress(answer: Answer, status: number, place: string, range: string): void {
      const id = place.slice(place.lastIndexOf('/') + 1)
      expect(answer).toMatchObject({ status, text: '' })
      expect(answer.all).toMatchObject({
        location: [`http://127.0.0.1:${port()}${place}`],
        range: [range],
        'docker-upload-uuid': [id],
        'docker-distribution-api-version': ['registry/2.0'],
      })
      // RFC 9110 section 8.6 forbids it in a 204.
      if (status === 204) expect(answer.headers['content-length']).toBeUndefined()
      else expect(answer.headers['content-length']).toBe('0')
    },

    /** What the answer says that ends an upload. */
    expectCreated(answer: Answer, digest: string, repository = 'up'): void {
      expect(answer).toMatchObject({ status: 201, text: '' })
      expect(answer.all).toMatchObject({
        location: [`http://127.0.0.1:${port()}/v2/${repository}/blobs/${digest}`],
        'docker-content-digest': [digest],
        'content-length': ['0'],
        'docker-distribution-api-version': ['registry/2.0'],
      })
    },

    async expectBlob(digest: string, bytes: string, repository = 'up'): Promise<void> {
      expect(await ask(port(), 'GET', `/v2/${repository}/blobs/${digest}`)).toMatchObject({ status: 200, text: bytes })
    },
  }
}

/**
 * Lines of a log that tell of a fault of the server's own. registry:2 has a line of the level `error` for each answer that is one,
 * whoever caused it: those below 500 are clients' faults.
 */
export function faultsIn(log: readonly string[]): string[] {
  const isClients = (line: string) =>
    line.includes('msg="response completed with error"') && / http\.response\.status=4\d\d\b/.test(line)
  return log.filter((line) => (line.includes('level=error') && !isClients(line)) || line.includes('late failure'))
}
