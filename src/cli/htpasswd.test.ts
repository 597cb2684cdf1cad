import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { htpasswdCommand } from './htpasswd.ts'

async function listed(file: string) {
  const shown = { out: '', error: '' }
  const command = htpasswdCommand({
    out(text) {
      shown.out += text
    },
    error(text) {
      shown.error += text
    },
    readPassword: () => Promise.reject(new Error('nobody is there')),
  })
  await command.parseAsync(['list', file], { from: 'user' })
  return shown
}

test('users are listed with how their passwords are hashed, and a file without users says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-htpasswd-'))
  try {
    const file = join(folder, 'users')
    writeFileSync(file, '')
    expect(await listed(file)).toEqual({
      out: '',
      error: `${file} has no users: berth htpasswd add ${file} USER\n`,
    })
    writeFileSync(file, `kim:$2y$05$${'a'.repeat(53)}\n`)
    expect(await listed(file)).toEqual({ out: 'NAME  HASH\nkim   bcrypt\n', error: '' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
