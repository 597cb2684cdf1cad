import { parseSize, sizeText } from '../oci/size.ts'
import { ArchiveError } from './error.ts'

/** How much of a stranger's archives is read. Sizes are in bytes. */
export interface Limits {
  /** What one archive expands to. */
  layer: number
  /** What all archives expand to that are read together. */
  total: number
  /** How many times its size an archive expands to; asked once it is past `FREE`. */
  ratio: number
  /** Files, directories and links of all archives. */
  entries: number
  /** Names and targets of links of all archives: what is kept of them in memory. */
  names: number
  /** One name, or one target of a link. */
  name: number
  /** What stands before one file and describes it. */
  header: number
  /** Parts of names that are gone through because links lead there: a million files behind a few links have many. */
  links: number
}

const GIB = 2 ** 30
const MIB = 2 ** 20

/** Far above what images have; a name is what Linux takes (PATH_MAX). */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  ...{ layer: 32 * GIB, total: 64 * GIB, ratio: 200 },
  ...{ entries: 1_000_000, names: 128 * MIB, name: 4096, header: MIB, links: 20_000_000 },
}

/** Bytes to which anything may expand: a file of zeros is no bomb yet. */
const FREE = 256 * MIB

const COUNTS: readonly string[] = ['ratio', 'entries', 'links']

/** `layer=64GiB`, `ratio=1000`. Undefined for what names no limit, or has no value of its kind. */
export function parseLimit(text: string): Partial<Limits> | undefined {
  const [, name = '', value = ''] = /^([a-z]+)=(.+)$/.exec(text) ?? []
  if (!Object.hasOwn(DEFAULT_LIMITS, name)) return undefined
  const amount = COUNTS.includes(name) ? (/^\d{1,15}$/.test(value) ? Number(value) : undefined) : parseSize(value)
  return amount === undefined || amount < 1 ? undefined : { [name]: Math.floor(amount) }
}

/** What has been read of several archives, against one set of limits. */
export interface Budget {
  readonly limits: Readonly<Limits>
  /** Begins to count for one archive; `what` names it in errors. */
  archive(what: string): Account
  /** Begins to count for one image, whose archives are laid over each other. */
  image(): ImageAccount
}

export interface ImageAccount {
  /** An entry of one of them; one that is read once may be laid several times. @throws ArchiveError `limit` */
  entry(): void
  /** Parts of a name that a link leads through. @throws ArchiveError `limit` */
  links(parts: number): void
}

export interface Account {
  readonly what: string
  readonly limits: Readonly<Limits>
  /** So many bytes came. */
  read(bytes: number): void
  /** So many came out of them. @throws ArchiveError `limit` */
  expand(bytes: number): void
  /** An entry, and the characters that are kept of it. @throws ArchiveError `limit` */
  entry(characters: number): void
  /** A further name that is kept. @throws ArchiveError `limit` */
  name(characters: number): void
}

export function createBudget(limits: Readonly<Limits> = DEFAULT_LIMITS): Budget {
  let total = 0
  let entries = 0
  let names = 0
  let links = 0

  function archive(what: string): Account {
    let read = 0
    let expanded = 0
    const past = (limit: keyof Limits, message: string) => exceeded(limits, limit, `${what} ${message}`)
    return {
      what,
      limits,
      read(bytes) {
        read += bytes
      },
      expand(bytes) {
        expanded += bytes
        total += bytes
        if (expanded > FREE && expanded > read * limits.ratio) {
          throw past('ratio', `expands to more than ${limits.ratio} times its size: it may be a zip bomb`)
        }
        if (expanded > limits.layer) throw past('layer', `expands to more than ${sizeText(limits.layer)}`)
        if (total > limits.total)
          throw past('total', `and those before it expand to more than ${sizeText(limits.total)}`)
      },
      entry(characters) {
        if (++entries > limits.entries) {
          throw past('entries', `and those before it have more than ${limits.entries} files`)
        }
        this.name(characters)
      },
      name(characters) {
        names += characters
        if (names > limits.names) {
          throw past('names', `and those before it have names of more than ${sizeText(limits.names)} in all`)
        }
      },
    }
  }

  function image(): ImageAccount {
    let laid = 0
    return {
      entry() {
        if (++laid > limits.entries)
          throw exceeded(limits, 'entries', `its layers have more than ${limits.entries} files`)
      },
      links(parts) {
        links += parts
        if (links > limits.links) {
          throw exceeded(limits, 'links', `its links lead through more than ${limits.links} parts of names`)
        }
      },
    }
  }

  return { limits, archive, image }
}

function exceeded(limits: Readonly<Limits>, limit: keyof Limits, message: string): ArchiveError {
  const { [limit]: value } = limits
  const more = COUNTS.includes(limit) || value < MIB ? String(value * 4) : sizeText(value * 4).replace(' ', '')
  return new ArchiveError('limit', message, { hint: `to read it all the same add --limit ${limit}=${more}` })
}
