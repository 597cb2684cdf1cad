import { expect, test } from 'bun:test'
import type { AdminFlags } from './control.ts'
import { placeFlags } from './place.ts'

test.each<[string, AdminFlags, string]>([
  ['none', { format: 'table' }, ''],
  ['a data directory', { data: 'data' }, ' --data data'],
  ['one whose name a shell would take apart', { data: "my data's" }, " --data 'my data'\\''s'"],
  ['files', { config: '/etc/c.yml', authConfig: 'a.yml' }, ' --config /etc/c.yml --auth-config a.yml'],
])('a proposed command is told where the server is: %s', (_, flags, text) => {
  expect(placeFlags(flags)).toBe(text)
})
