import { z } from 'zod'
import { described, duration, flag, section } from './schema.ts'

/** Own sections: how long things that nobody needs are kept. */

const string = z.string()
/** A text that stays as written. */
const said = (fallback: string, doc: string) => described(z.prefault(z.optional(string), fallback), doc)

export const gcSchema = section(
  {
    enabled: flag(true, 'Collect garbage all the time; without it, berth gc run does it'),
    delay: duration('1h', 'How long a blob waits that no manifest needs'),
    untagged: said('168h', 'How long a manifest without a tag waits; keep: for ever'),
    interval: duration('1m', 'Time between two cycles'),
    workers: described(z._default(z.number().int().min(1).max(64), 4), 'Candidates that are looked at side by side'),
  },
  'Own section: garbage collection',
)

export const trashSchema = section(
  {
    window: duration('168h', 'How long what was deleted can be restored'),
    minfree: said('2GiB', 'Free space below which the trash is emptied before its time: such as 2GiB or 5%'),
  },
  'Own section: trash',
)

export const spaceSchema = section(
  {
    minfree: said('256MiB', 'Free space below which pushes are refused: such as 256MiB or 1%; 0 refuses none'),
    reserve: said(
      '64MiB',
      'Space that is set aside beside the database and given free on a full disk, so that deletions go on; 0 for none',
    ),
  },
  'Own section: room on the disk',
)

export const backupSchema = section(
  {
    database: section(
      {
        enabled: flag(true, 'Copy the database once a day, into berth-snapshots beside it'),
        keep: described(z._default(z.number().int().min(1).max(366), 3), 'Daily copies that are kept'),
      },
      'Daily copies of the database',
    ),
  },
  'Own section: what protects from a broken database; berth backup copies everything',
)

export const verifySchema = section(
  {
    rate: said('50MiB', 'Bytes a second that berth verify --deep reads, such as 50MiB; 0 for as many as it can'),
    scrub: section(
      {
        enabled: flag(true, 'Hash every blob again and again, and quarantine what is damaged'),
        every: duration('720h', 'Time from the beginning of one pass over all blobs to that of the next'),
        rate: said('10MiB', 'Bytes a second that a pass reads'),
      },
      'What looks for damage by itself',
    ),
    quarantine: duration('720h', 'How long damaged bytes are kept once their blob is whole again, or gone'),
  },
  'Own section: verification of what is stored',
)

export const uploadPurgingSchema = section(
  {
    enabled: flag(true, 'End uploads that nobody went on with'),
    age: duration('168h', 'Time without a change after which an upload ends'),
    interval: duration('24h', 'Time between two looks'),
    dryrun: flag(false, 'Only tell of them in the log'),
  },
  'Removal of uploads that nobody finished',
)
