import { describe, expect, test } from 'bun:test'
import type { BlobCommit, Metadata, StoredBlob } from '../metadata/metadata.ts'
import { digestOf } from '../oci/digest.ts'
import type { Storage, StoredUpload } from '../storage/storage.ts'
import { createCommit } from './commit.ts'
import { createTurns } from './turns.ts'

const digest = digestOf(Buffer.from('blob'))
const upload: StoredUpload = { id: 'u', size: 4, state: '' }
const row = (key: string, state: StoredBlob['state'] = 'live'): StoredBlob => ({ digest, size: 4, key, state })

interface Case {
  /** What `locate` finds, one time after the other; the last stays. */
  located: (StoredBlob | undefined)[]
  /** Sizes of the files in storage. */
  files: Record<string, number>
  /** Keys that the collector has. */
  discarded?: string[]
  /** What the database answers to each commit. */
  answers: ((commit: BlobCommit) => string | undefined)[]
}

/** Commits against made-up answers, and tells in order what was done. */
async function run({ located, files, discarded = [], answers }: Case): Promise<string[]> {
  const done: string[] = []
  let looks = 0
  let commits = 0
  const metadata = {
    blobs: {
      locate: async () => located[Math.min(looks++, located.length - 1)],
      discarded: async () => discarded,
      commit: async (commit: BlobCommit) => {
        const holding = answers[Math.min(commits++, answers.length - 1)]?.(commit)
        done.push(`commit ${commit.key}${commit.replaces === undefined ? '' : ` for ${commit.replaces}`}: ${holding}`)
        return holding
      },
    },
    uploads: { remove: async () => done.push('forget upload') > 0 },
  } as unknown as Metadata
  const storage = {
    open: async (key: string) => (files[key] === undefined ? undefined : { kind: 'file', path: key, size: files[key] }),
    seal: async (_: StoredUpload, __: string, avoid: readonly string[]) => {
      const key = avoid.includes('k') ? 'k2' : 'k'
      done.push(`seal ${key}`)
      return key
    },
    abort: async () => void done.push('abort'),
    delete: async (key: string) => done.push(`delete ${key}`) > 0,
  } as unknown as Storage
  const onBlob = () => void done.push('tell')
  const commit = createCommit({ metadata, storage, now: () => 1, onBlob, turns: createTurns() })
  await commit('app', upload, digest).catch((error: { code: string }) => done.push(error.code))
  return done
}

const asGiven = ({ key }: BlobCommit) => key

describe('an upload becomes a blob', () => {
  const rows: [string, Case, string[]][] = [
    [
      'that is new: bytes first, row second',
      { located: [undefined], files: {}, answers: [asGiven] },
      ['seal k', 'commit k: k'],
    ],
    [
      'that is new, where the collector still has bytes of it: under another key',
      { located: [undefined], files: {}, discarded: ['k'], answers: [asGiven] },
      ['seal k2', 'commit k2: k2'],
    ],
    [
      'that is there already: its bytes stay, ours go',
      { located: [row('k')], files: { k: 4 }, answers: [() => 'k'] },
      ['commit undefined: k', 'abort'],
    ],
    [
      'whose bytes are missing: ours take their place under another key',
      { located: [row('k')], files: {}, answers: [asGiven] },
      ['seal k2', 'commit k2 for k: k2', 'tell'],
    ],
    [
      'whose bytes are cut',
      { located: [row('k')], files: { k: 3 }, answers: [asGiven] },
      ['seal k2', 'commit k2 for k: k2', 'tell'],
    ],
    [
      'whose bytes are known to be damaged: ours are taken, wherever the old ones are',
      { located: [row('k', 'damaged')], files: { k: 4 }, answers: [asGiven] },
      ['seal k2', 'commit k2: k2', 'tell'],
    ],
    [
      'that another push mended at the same time: one of both stays',
      { located: [row('k')], files: {}, answers: [() => 'k3'] },
      ['seal k2', 'commit k2 for k: k3', 'delete k2', 'tell'],
    ],
    [
      'that is being deleted: it is taken over under a key that nobody deletes',
      { located: [row('k', 'deleting')], files: { k: 4 }, answers: [asGiven] },
      ['seal k2', 'commit k2: k2', 'tell'],
    ],
    [
      'that went away between looking and committing: it begins again',
      { located: [row('k'), undefined], files: { k: 4 }, answers: [() => undefined, asGiven] },
      ['commit undefined: undefined', 'seal k', 'commit k: k'],
    ],
    [
      'whose new key is deleted under it: the client is told to come again',
      { located: [undefined], files: {}, answers: [() => undefined] },
      ['seal k', 'commit k: undefined', 'forget upload', 'abort', 'UNAVAILABLE'],
    ],
    [
      'that goes away each time: it ends, and the client is told',
      { located: [row('k')], files: { k: 4 }, answers: [() => undefined] },
      [...Array.from({ length: 5 }, () => 'commit undefined: undefined'), 'forget upload', 'abort', 'UNAVAILABLE'],
    ],
  ]
  test.each(rows)('%s', async (_, given, expected) => {
    expect(await run(given)).toEqual(expected)
  })
})
