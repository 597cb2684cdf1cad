import { type Digest, isDigest } from '../oci/digest.ts'
import type { Program } from './collect-model.fixture.ts'
import type { Scene } from './collect-scene.fixture.ts'
import type { VerifyMode } from './verify.ts'

export interface Caretakers {
  harm(use: Program): Promise<void>
  verify(use: Program): Promise<void>
  /** A verification that sets right all that it can. */
  repair(use: Program): Promise<void>
}

const KINDS = ['lost', 'short', 'altered'] as const

/** What disks do to bytes, and who looks after them. @throws Error when whole bytes are said to be damaged */
export function caretakersOf(scene: Scene): Caretakers {
  const { random, pick, content, ledger, places } = scene

  /** Bytes that a row names, and that nobody will move: those of others are nobody's loss. */
  function strike(use: Program): Promise<void> {
    return use.step(async () => {
      const keys = [...content.objects.keys()]
      if (keys.length === 0) return
      const key = pick(keys)
      const kind = pick(KINDS)
      const digest = key.replace('/', ':').replace(/\.\d+$/, '')
      if (!isDigest(digest)) throw new Error(`${key} is no key of the memory's`)
      const row = await scene.world.metadata.blobs.locate(digest)
      const object = content.objects.get(key)
      if (row?.state !== 'live' || row.key !== key || object === undefined) return
      ledger.harm(digest, kind, places)
      if (kind === 'lost') content.objects.delete(key)
      else
        content.objects.set(key, { ...object, bytes: kind === 'short' ? object.bytes.slice(1) : altered(object.bytes) })
    })
  }

  async function verify(use: Program, mode: Pick<VerifyMode, 'deep' | 'repair'>): Promise<void> {
    const before = [...ledger.harmed]
    const found: string[] = []
    await use.verifier.run(
      { ...mode, rate: undefined },
      {
        found: ({ kind, severity, what, detail }) => {
          const digest = what.replace(/^blob /, '')
          if (severity === 'fault' && !ledger.everHarmed.has(digest as Digest)) found.push(`${kind}: ${what} ${detail}`)
        },
        progress() {},
      },
      new AbortController().signal,
    )
    if (found.length > 0) throw new Error(`verify finds fault with what nobody harmed: ${found.join('; ')}`)
    if (!mode.repair) return
    for (const [digest, harm] of before) {
      if (ledger.harmed.get(digest) !== harm || (!mode.deep && harm.kind === 'altered')) continue
      harm.isNoticed = true
      harm.isRepaired = true
    }
  }

  return {
    harm: strike,
    repair: (use) => verify(use, { deep: true, repair: true }),
    verify: (use) =>
      verify(
        use,
        pick([
          { deep: true, repair: true },
          { deep: random() < 0.5, repair: random() < 0.5 },
        ]),
      ),
  }

  function altered(bytes: Uint8Array): Uint8Array {
    const other = bytes.slice()
    other[0] = (other[0] ?? 0) ^ 1
    return other
  }
}
