/**
 * Manifests that one transaction takes, for other writers wait meanwhile: as many as go in `TURN` milliseconds, which is between
 * 0.3 for one whose layers others have, and 5 for one with many of its own on a busy machine.
 */
const PORTIONS = { least: 5, most: 200 } as const
const TURN = 40

/** Before anything is known. */
export const FIRST_PORTION = 20

/** After a portion that took so many milliseconds. */
export function nextPortion(manifests: number, took: number): number {
  const fitting = Math.round((manifests * TURN) / Math.max(took, 1))
  return Math.min(Math.max(fitting, PORTIONS.least), PORTIONS.most)
}
