import { expect, test } from 'bun:test'
import { faultOf } from './fault.ts'

test.each([
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
  ['EROFS', 'read-only'],
  ['EIO', 'io'],
  ['EACCES', 'forbidden'],
  ['EPERM', 'forbidden'],
  ['EMFILE', 'failed'],
])('%s is %s', (code, fault) => {
  const error = Object.assign(new Error(code), { code })
  expect(faultOf(error, 'look')).toEqual({ fault: fault as never, message: `cannot look: ${code}` })
})
