import type { AuditRow } from '../metadata/metadata.ts'
import { createRation, type Ration } from './ration.ts'
import { groupOf } from './throttle.ts'

/** Rows of one address (of its /64), and of all, that are kept one by one: so many at once, then one in each so many milliseconds. */
const EACH = { burst: 60, everyMs: 10_000 }
const ALL = { burst: 600, everyMs: 1000 }
/** Addresses that are told apart in a sum. */
const MAX_ADDRESSES = 1000

/** Nobody proved to be anybody: such rows come as fast as a stranger can ask. */
export function isOfStranger({ kind, source, outcome }: AuditRow): boolean {
  if (kind === 'change') return false
  return kind === 'sign-in' ? outcome !== 'done' : source === ''
}

interface Sum {
  /** Milliseconds since the epoch of the first. */
  since: number
  count: number
  addresses: Map<string, number>
}

export interface Flood {
  /** Whether the row of a stranger is to be kept; else it is counted. */
  admits(row: AuditRow): boolean
  /** A row for each kind and outcome of what was counted since the last time. */
  sums(): AuditRow[]
}

/**
 * Keeps strangers from filling the disk with rows, and from pushing out those that matter. Requests without a name, wrong
 * logins and sign-ins have a ration each, so that the noise of one does not hide the others.
 */
export function createFlood(now: () => number): Flood {
  const rations = new Map<string, Ration>()
  const counted = new Map<string, Sum & Pick<AuditRow, 'kind' | 'outcome'>>()

  return {
    admits(row) {
      const { kind, outcome } = row
      const sort = `${kind} ${row.account === ''}`
      let ration = rations.get(sort)
      if (ration === undefined) {
        ration = createRation({ now, each: EACH, all: ALL })
        rations.set(sort, ration)
      }
      const address = row.address === '' ? '' : groupOf(row.address)
      if (ration.take(address)) return true
      const key = `${kind} ${outcome}`
      const sum = counted.get(key) ?? { kind, outcome, since: row.at, count: 0, addresses: new Map<string, number>() }
      counted.set(key, sum)
      sum.count++
      const before = sum.addresses.get(address)
      if (before !== undefined || sum.addresses.size < MAX_ADDRESSES) sum.addresses.set(address, (before ?? 0) + 1)
      return false
    },

    sums() {
      const rows = [...counted.values()].map((sum) => rowOf(sum, now()))
      counted.clear()
      return rows
    },
  }
}

function rowOf({ kind, outcome, ...sum }: Sum & Pick<AuditRow, 'kind' | 'outcome'>, at: number): AuditRow {
  const nothing = { account: '', source: '', address: '', service: '', asked: '', granted: '', rules: '' }
  return { at, kind, ...nothing, outcome, detail: spell(sum) }
}

function spell({ since, count, addresses }: Sum): string {
  const [[group, most] = ['', 0]] = [...addresses].sort(([, a], [, b]) => b - a)
  const busiest = group.replace(/^(\w{4})(\w{4})(\w{4})(\w{4})\/64$/, '$1:$2:$3:$4::/64')
  const several = addresses.size < MAX_ADDRESSES ? `${addresses.size}` : `${MAX_ADDRESSES} or more`
  const from = addresses.size === 1 ? `from ${busiest}` : `from ${several} addresses, ${most} of them from ${busiest}`
  const text = `${count} more since ${new Date(since).toISOString()}, which are not kept one by one`
  return addresses.size === 1 && busiest === '' ? text : `${text}, ${from}`
}
