import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UnavailableError } from './auth/authenticator.ts'
import type { Config } from './config/config.ts'
import { type Periodic, startPeriodic } from './jobs/periodic.ts'
import { createDamage, type Damage } from './metadata/damage.ts'
import { MetadataError } from './metadata/metadata.ts'
import { checkDatabase } from './metadata/snapshot.ts'
import { SNAPSHOTS_FOLDER } from './metadata/snapshot-file.ts'
import type { Log } from './telemetry/log.ts'

/** Milliseconds after the start: it reads the whole database, and a start has other work. */
const FIRST = 10_000
/** Between two looks; copying the database looks at it, too. */
const EVERY = 24 * 3_600_000
/** Between two looks at a database that was found damaged, twice as long each time. */
const AGAIN = 5_000
const AGAIN_AT_MOST = 600_000

/** Watches for a database whose pages are broken. */
export interface DamageWatch {
  damage: Damage
  /** What was found, and what to do, for an operator; undefined: nothing. */
  finding(): string | undefined
  /** Reads the whole database, in a thread of its own. It happens by itself once `start` was called. */
  look(): Promise<void>
  start(): Periodic
}

/**
 * The same, where these of its methods fail while the database is known to be damaged: what they count is not what there is, and
 * zeros are read as an all-clear. @throws UnavailableError with the finding and the way back
 */
export function whileWhole<T extends object>(
  target: T,
  names: readonly (keyof T)[],
  { finding }: Pick<DamageWatch, 'finding'>,
): T {
  const refuse = () => {
    const found = finding()
    if (found !== undefined) throw new UnavailableError(found)
  }
  return new Proxy(target, {
    get(from, name) {
      const value: unknown = Reflect.get(from, name)
      if (typeof value !== 'function' || !names.includes(name as keyof T)) return value
      return async (...args: unknown[]) => {
        refuse()
        const answer: unknown = await Reflect.apply(value, from, args)
        refuse()
        return answer
      }
    },
  })
}

export function createDamageWatch({ data, log }: { data: Config['data']; log: Log }): DamageWatch {
  const folder = resolve(data.metadata)
  let again: Timer | undefined
  let wait = AGAIN
  let isStarted = false
  const damage = createDamage((error) => {
    log.error(`the database is damaged: nothing is written to it any more. ${restoreAdvice(folder)}`, { error })
    lookAgain()
  })

  /** What the disk could not read a moment ago it may read now; what is broken stays so. */
  function lookAgain(): void {
    if (!isStarted || damage.found === undefined) return
    again = setTimeout(() => {
      look()
        .catch((error: unknown) => log.warn('the database could not be checked', { error }))
        .finally(lookAgain)
    }, wait)
    again.unref()
    wait = Math.min(wait * 2, AGAIN_AT_MOST)
  }

  async function look(): Promise<void> {
    const isSuspect = damage.found !== undefined
    try {
      await checkDatabase(join(folder, 'berth.db'), isSuspect ? 'thorough' : 'quick')
    } catch (error) {
      if (!(error instanceof MetadataError) || error.fault !== 'corrupt') throw error
      damage.report(error)
      return
    }
    wait = AGAIN
    if (!isSuspect) return
    damage.dismiss()
    log.warn('the whole database can be read again, and is well: it is written to as before. Look at the disk')
  }

  return {
    damage,
    finding: () => damage.found && `${damage.found.message}. ${restoreAdvice(folder)}`,
    look,
    start() {
      isStarted = true
      lookAgain()
      const failure = 'the database could not be checked'
      const looking = startPeriodic({ everyMs: EVERY, firstMs: FIRST, work: look, failure, log })
      return {
        ...looking,
        async stop() {
          isStarted = false
          clearTimeout(again)
          await looking.stop()
        },
      }
    },
  }
}

/** What to do about a broken database in `folder`: commands for the newest copy that there is. */
export function restoreAdvice(folder: string): string {
  const newest = newestCopy(folder)
  if (newest === undefined) {
    return `There is no copy of it in ${join(folder, SNAPSHOTS_FOLDER)}: stop Berth and restore a backup (berth restore)`
  }
  const commands = [`cd ${quoted(folder)}`, 'mkdir broken', 'mv berth.db* broken/']
  commands.push(`cp -p ${SNAPSHOTS_FOLDER}/${newest} berth.db`)
  return `If the disk is well, stop Berth, go back to the newest copy, and start it again: ${commands.join(' && ')}`
}

/** The name of the newest copy of the database that is kept beside it; undefined: there is none. */
export function newestCopy(folder: string): string | undefined {
  return copiesIn(join(folder, SNAPSHOTS_FOLDER)).at(-1)
}

/** Oldest first: daily ones by their time; one from before an upgrade only where there is no other. */
function copiesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => /^(daily|before-schema)-.*\.db$/.test(name))
    return names.sort((a, b) => Number(a.startsWith('daily')) - Number(b.startsWith('daily')) || (a < b ? -1 : 1))
  } catch {
    return []
  }
}

/** For a shell. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
