import { textOf } from './tar-header.ts'

/** Extended header records by keyword (POSIX.1-2017 pax, "pax Extended Header"). */
export type PaxRecords = ReadonlyMap<string, string>

/** Undefined: these are no records. */
export function parsePax(bytes: Buffer): PaxRecords | undefined {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space === -1 ? '' : bytes.toString('latin1', at, space)
    const length = /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0
    const end = at + length
    const equals = bytes.indexOf(0x3d, space)
    if (length === 0 || end > bytes.length || bytes[end - 1] !== 0x0a || equals === -1 || equals >= end)
      return undefined
    records.set(textOf(bytes.subarray(space + 1, equals)), textOf(bytes.subarray(equals + 1, end - 1)))
    at = end
  }
  return records
}

/** What a global header may say of all files that come after it; the rest of it is nothing that we show. */
const GLOBAL: readonly string[] = ['path', 'linkpath', 'size', 'uid', 'gid', 'mtime']

/** A stranger's global header has any number of records, and each file would carry them. */
export function globalRecords(records: PaxRecords): PaxRecords {
  return new Map([...records].filter(([keyword]) => GLOBAL.includes(keyword)))
}

/** A number of a record, whose fraction is left out; undefined where there is none, or none that can be. */
export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const text = records.get(keyword)
  if (text === undefined || !/^-?\d+(\.\d*)?$/.test(text)) return undefined
  const value = Math.floor(Number(text))
  return Number.isSafeInteger(value) ? value : undefined
}

const ATTRIBUTE = 'SCHILY.xattr.'

/** Extended attributes, sorted, as one text. */
export function paxAttributes(records: PaxRecords): string {
  return [...records]
    .filter(([keyword]) => keyword.startsWith(ATTRIBUTE))
    .map(([keyword, value]) => `${keyword.slice(ATTRIBUTE.length)}=${value}`)
    .sort()
    .join('\n')
}
