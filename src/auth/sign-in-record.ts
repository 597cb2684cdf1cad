import type { SignInEvent } from './sign-in.ts'

/** Ends without an account that are recorded in a minute. */
const NAMELESS = 30
const MINUTE = 60_000

type Record = (event: SignInEvent) => void

/**
 * Records every end that names an account. Of those that name none, which strangers can have as many of as they like, no
 * more than 30 a minute are recorded, and the next after them says how many were left out.
 */
export function createModerateRecord(options: { now: () => number; record: Record }): Record {
  const { now, record } = options
  let began = Number.NEGATIVE_INFINITY
  let count = 0
  let leftOut = 0

  return (event) => {
    if (event.account !== '') return record(event)
    const time = now()
    // A clock that was set back begins anew, too.
    if (Math.abs(time - began) >= MINUTE) {
      began = time
      count = 0
    }
    if (count >= NAMELESS) {
      leftOut++
      return
    }
    count++
    const more = leftOut === 0 ? '' : ` (${leftOut} more before this were not recorded)`
    leftOut = 0
    record({ ...event, detail: `${event.detail}${more}` })
  }
}
