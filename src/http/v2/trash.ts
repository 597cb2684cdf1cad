import { isDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/error.ts'
import type { PurgedImage, PurgeImage } from '../../registry/purge.ts'
import type { Handler } from '../call.ts'
import { JSON_TYPE } from '../errors.ts'
import { jsonResponse } from '../json.ts'

/** Who took what for good; `purged` is undefined where it failed. */
export type PurgeRecord = (record: {
  account: string
  address: string | undefined
  repository: string
  digest: string
  purged: PurgedImage | undefined
}) => void

/**
 * Takes what a deletion left of a manifest for good. The path is as the OCI Distribution Specification keeps them for extensions
 * (`/v2/<name>/_<extension>/...`), the access that of a deletion: who may delete an image may give its space back.
 */
export function createTrashHandlers(deps: { purge: PurgeImage; record: PurgeRecord }): { purge: Handler } {
  const { purge, record } = deps
  return {
    async purge(call) {
      const { name, reference, subject } = call
      if (!isDigest(reference)) {
        throw new RegistryError('DIGEST_INVALID', {
          message: 'invalid digest: expected sha256 with 64 or sha512 with 128 lower-case hex digits',
          detail: reference.slice(0, 200),
        })
      }
      // An image of many parts on a busy disk takes its time.
      call.unhurried()
      const asked = { account: subject.name, address: call.address(), repository: name, digest: reference }
      let purged: PurgedImage | undefined
      try {
        purged = await purge(name, reference)
      } catch (error) {
        record({ ...asked, purged: undefined })
        throw error
      }
      if (purged === undefined) {
        const detail = `no deletion left a manifest name=${name} revision=${reference}`
        throw new RegistryError('MANIFEST_UNKNOWN', { message: 'the trash has no such manifest', detail })
      }
      record({ ...asked, purged })
      const headers = { 'Content-Type': JSON_TYPE, 'Cache-Control': 'no-store' }
      return jsonResponse(`${JSON.stringify({ name, digest: reference, ...purged })}\n`, headers)
    },
  }
}
