/** How the database is, and how much is in it. */
export interface Status {
  /** Walks whole tables. */
  totals(): Promise<Totals>
  /** Writes what is there already, to see that it can. Relaxed. @throws MetadataError */
  write(): Promise<void>
}

export interface Totals {
  /** That have a manifest. */
  repositories: number
  tags: number
  manifests: number
  manifestBytes: number
  /** Those that can be read, each once, whatever repositories have it. */
  blobs: number
  blobBytes: number
  /** Under way. */
  uploads: number
  uploadBytes: number
}
