/** A certificate that Berth itself gets and keeps valid. */
export interface ManagedCertificate {
  /** PEM file with the private key and the chain, in this order. */
  readonly file: string
  /** Whether there is one to listen with. */
  isReady(): boolean
  /**
   * Makes the file, or renews it where that is due (or at once, where `force`). Resolves to whether it is another now.
   * @throws Error with a text for the operator; the file before stays, and counts for as long as it is valid.
   */
  tend(options: { force: boolean; signal: AbortSignal }): Promise<boolean>
}
