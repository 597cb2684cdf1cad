import { expect, test } from 'bun:test'
import type { Running } from '../run.ts'
import { banner } from './banner.ts'

/** What of a running server the first lines tell of. */
function running(data: string): Running {
  const registry = { url: 'http://127.0.0.1:5000', port: 5000, everywhere: false }
  const admin = { password: 'secret', passwordFile: `${data}/berth-admin-password` }
  return { registry, data, admin, open: false } as unknown as Running
}

const lines = (data: string, terminal: boolean) => banner(running(data), { command: 'bin/berth', terminal }).split('\n')

test.each<[string, Partial<Running['registry']>, string]>([
  ['every address', { url: 'https://localhost:5000', everywhere: true }, '--data /d'],
  ['another port', { url: 'https://localhost:5311', port: 5311, everywhere: true }, '--data /d --addr :5311'],
  ['this machine alone', { url: 'https://127.0.0.1:5000' }, '--data /d --addr 127.0.0.1:5000'],
  ['one address', { url: 'https://[fd00::2]:5311', port: 5311 }, "--data /d --addr '[fd00::2]:5311'"],
])('the command of the authority knows a server on %s', (_, registry, operands) => {
  const { registry: usual, ...rest } = running('/d')
  const shown = banner(
    { ...rest, registry: { ...usual, ...registry }, authority: 'A8' },
    { command: 'berth', terminal: false },
  )
  expect(shown).toContain(`\n  berth cert trust ${operands}\n`)
})

test('the first lines lead to the first push, and fit 80 columns also where paths are long', () => {
  const data = '/home/somebody/projects/registry/berth/data'
  expect(lines(data, false).slice(1)).toEqual([
    `data in ${data}`,
    '',
    'The password of admin is in this file until you change it:',
    '',
    `  ${data}/berth-admin-password`,
    `  bin/berth user passwd admin --data ${data}`,
    '',
    'To begin:',
    '',
    '  docker login --username admin --password-stdin 127.0.0.1:5000 \\',
    `    < ${data}/berth-admin-password`,
    '  docker tag hello-world 127.0.0.1:5000/hello-world',
    '  docker push 127.0.0.1:5000/hello-world',
    '',
    '',
  ])
  expect(lines(data, true)).toContain('The user admin was made, with the password secret')
  for (const line of lines(data, true)) expect(line.length).toBeLessThanOrEqual(80)
})
