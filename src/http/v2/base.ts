import type { Handler } from '../call.ts'
import { JSON_TYPE } from '../errors.ts'

/** OCI Distribution Specification 1.1, "Determining Support" (end-1). */
export const checkSupport: Handler = () =>
  new Response('{}', { headers: { 'Content-Type': JSON_TYPE, 'Content-Length': '2' } })
