import { describe, expect, test } from 'bun:test'
import type { Contents } from '../../registry/contents.ts'
import { openApi } from './api.fixture.ts'

const OPERATOR = { caller: { account: '@operator', source: 'socket', admin: true } }
const DIGEST = `sha256:${'a'.repeat(64)}` as const

function openContents() {
  const asked: unknown[] = []
  const contents: Contents = {
    async repositories(page) {
      asked.push(page)
      return [{ name: 'team/app', manifests: 1, tags: 2, blobs: 3, bytes: 4 }]
    },
    async manifests(repository, filter, page) {
      asked.push([repository, filter, page])
      const none = { subject: undefined, artifactType: undefined, annotations: undefined }
      const bytes = new Uint8Array([0, 255, 128])
      const row = { digest: DIGEST, mediaType: 'text/m', bytes, ...none, pushedAt: 5, isTagged: true, isChild: false }
      return { manifests: [row], more: true }
    },
    async tags(repository, page) {
      asked.push([repository, page])
      return [{ name: 'v1', digest: DIGEST, updatedAt: 6 }]
    },
    async moves(repository, page) {
      asked.push([repository, page])
      return [{ id: 8, tag: 'v1', digest: DIGEST, at: 9 }]
    },
    async blobs(repository, filter, page) {
      asked.push([repository, filter, page])
      return [{ digest: DIGEST, size: 7, key: 'a/key', state: 'live' }]
    },
  }
  return { asked, opened: openApi({ contents }) }
}

describe('what repositories hold', () => {
  test('is told page by page, with the bytes of manifests and the keys of blobs', async () => {
    const { asked, opened } = openContents()
    const { ask } = await opened
    const get = async (path: string) => (await ask(`GET /contents/${path}`, { as: '', from: OPERATOR })).json
    expect(await get('repositories?last=a&limit=5')).toEqual({
      repositories: [{ name: 'team/app', manifests: 1, tags: 2, blobs: 3, bytes: 4 }],
    })
    expect(await get(`manifests?repository=team/app&tag=v1&subject=${DIGEST}`)).toEqual({
      manifests: [{ digest: DIGEST, mediaType: 'text/m', bytes: 'AP+A', pushedAt: 5, isTagged: true, isChild: false }],
      more: true,
    })
    expect(await get(`tags?repository=team/app&last=v0`)).toEqual({
      tags: [{ name: 'v1', digest: DIGEST, updatedAt: 6 }],
    })
    expect(await get('moves?repository=team/app&last=7')).toEqual({
      moves: [{ id: 8, tag: 'v1', digest: DIGEST, at: 9 }],
    })
    expect(await get(`blobs?repository=team/app&digest=${DIGEST}`)).toEqual({
      blobs: [{ digest: DIGEST, size: 7, key: 'a/key', state: 'live' }],
    })
    expect(asked).toEqual([
      { last: 'a', limit: 5 },
      ['team/app', { tag: 'v1', digest: undefined, subject: DIGEST }, { limit: 100 }],
      ['team/app', { last: 'v0', limit: 100 }],
      ['team/app', { last: 7, limit: 100 }],
      ['team/app', { digest: DIGEST }, { limit: 100 }],
    ])
  })

  test('is told to nobody but whoever may open the control socket', async () => {
    const { asked, opened } = openContents()
    const { ask } = await opened
    for (const path of [
      'repositories',
      'manifests?repository=a',
      'tags?repository=a',
      'moves?repository=a',
      'blobs?repository=a',
    ]) {
      expect([path, (await ask(`GET /contents/${path}`)).status]).toEqual([path, 403])
      expect([path, (await ask(`GET /contents/${path}`, { as: 'jo' })).status]).toEqual([path, 403])
      expect([path, (await ask(`GET /contents/${path}`, { as: '' })).status]).toEqual([path, 401])
    }
    expect(asked).toEqual([])
  })

  test('is not told for what is no question', async () => {
    const { asked, opened } = openContents()
    const { ask } = await opened
    for (const path of [
      'manifests',
      'tags',
      'blobs',
      'repositories?limit=0',
      'repositories?limit=1001',
      'tags?repository=a&tag=v1',
      'moves?repository=a&last=v1',
      'blobs?repository=a&digest=sha256:x',
      `manifests?repository=${'a'.repeat(257)}`,
    ]) {
      expect([path, (await ask(`GET /contents/${path}`, { as: '', from: OPERATOR })).status]).toEqual([path, 400])
    }
    expect(asked).toEqual([])
  })
})
