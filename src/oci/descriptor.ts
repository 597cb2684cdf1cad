import type { Digest } from './digest.ts'

export interface Platform {
  architecture?: string
  os?: string
  variant?: string
  'os.version'?: string
  'os.features'?: string[]
}

/** OCI Image Specification 1.1, "Content Descriptors". `size` is in bytes. */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  urls?: string[]
  annotations?: Record<string, string>
  data?: string
  artifactType?: string
  platform?: Platform
}
