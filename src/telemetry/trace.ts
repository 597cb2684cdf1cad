/** What a span may say of its work. */
export type Attributes = Record<string, string | number | boolean>

/** A piece of work that has begun. */
export interface Span {
  /** 32 hex digits. */
  readonly traceId: string
  /** `fault` says why it failed. */
  end(attributes?: Attributes, fault?: string): void
}

/** Where traces are made (OpenTelemetry); there is none unless OTEL_* asks for it. */
export interface Tracer {
  /**
   * Runs `work` as a request that somebody sent. `carrier` reads the request's headers: a `traceparent` (W3C Trace Context) makes
   * it a part of that trace. What is begun inside, in whatever turn, belongs to it.
   */
  serve<T>(name: string, carrier: (header: string) => string | null, attributes: Attributes, work: (span: Span) => T): T
  /** A step of the request that is being served; undefined where there is none. */
  step(name: string, attributes?: Attributes): Span | undefined
  /** Sends what waits, for at most some seconds. Never rejects. */
  close(): Promise<void>
}
