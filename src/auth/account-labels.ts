import { ChangeError, type ChangeProblem } from './administration.ts'
import type { Labels } from './authenticator.ts'

const LABEL = /^[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,63}$/
const MAX_LABELS = 50
const MAX_VALUES = 200
const MAX_VALUE = 200

/** @throws ChangeError with every problem */
export function checkLabels(labels: Labels): void {
  const problems: ChangeProblem[] = []
  const entries = Object.entries(labels)
  if (entries.length > MAX_LABELS) problems.push({ path: 'labels', message: `at most ${MAX_LABELS} labels` })
  for (const [label, values] of entries.slice(0, MAX_LABELS)) {
    const path = `labels.${label.slice(0, 64)}`
    if (!LABEL.test(label)) problems.push({ path, message: 'a label has 1 to 64 letters, digits and . _ : / -' })
    if (values.length > MAX_VALUES) problems.push({ path, message: `a label has at most ${MAX_VALUES} values` })
    if (values.some((value) => value === '' || value.length > MAX_VALUE || /\p{Cc}/u.test(value))) {
      problems.push({ path, message: `a value has 1 to ${MAX_VALUE} characters, none of them a control character` })
    }
  }
  if (problems.length > 0) throw new ChangeError('invalid', problems[0]?.message ?? '', problems)
}
