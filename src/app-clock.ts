export interface Clock {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Unique for ever. */
  newId: () => string
}
