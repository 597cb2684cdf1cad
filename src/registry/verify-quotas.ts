import type { QuotaBook } from './quotas.ts'
import type { ExtraCheck } from './verify.ts'

/** What quotas count, against what is there. Counting takes one long look at all that a quota is over, so it is part of a deep one. */
export function checkQuotas(quotas: Pick<QuotaBook, 'check'>): ExtraCheck {
  return {
    name: 'quotas',
    async *run({ deep, repair, onRows }) {
      if (!deep) return
      const checked = await quotas.check(repair)
      onRows(checked.length)
      for (const { quota, counted, isRight } of checked) {
        if (isRight) continue
        yield {
          ...{ kind: 'quota-wrong', severity: 'fault', affected: [] },
          what: quota.prefix === '' ? 'the quota of everything' : `quota of ${quota.prefix}`,
          detail: `counts something else than the ${counted.bytes} bytes and ${counted.tags} tags that are there`,
          outcome: repair ? 'mended' : 'found',
          done: repair ? 'it is counted anew' : undefined,
          advice: repair ? undefined : 'berth verify --deep --repair',
        }
      }
    },
  }
}
