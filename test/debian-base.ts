import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Docker } from './dockerd.ts'
import { must, program } from './programs.ts'

export const DEBIAN_BASE = 'berth-test/debian:latest'

/** What a slim Debian has and Berth's image uses (dash, coreutils, util-linux), and what tests look with. */
const PROGRAMS = ['cat', 'chmod', 'chown', 'id', 'ln', 'ls', 'mkdir', 'setpriv', 'sh', 'sleep', 'stat', 'touch']

/**
 * Writes a tar of a root file system in the layout of Debian's slim image: this machine's own programs, with the libraries
 * that they and Berth's executable load. It stands in for an image that no test can pull.
 */
export async function writeDebianBase(archive: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  try {
    for (const path of [
      'usr/bin',
      'usr/sbin',
      'usr/lib',
      'usr/lib64',
      'usr/local/bin',
      'etc',
      'root',
      'tmp',
      'var/lib',
    ]) {
      mkdirSync(join(folder, path), { recursive: true })
    }
    for (const path of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${path}`, join(folder, path))
    writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\n')
    writeFileSync(join(folder, 'etc/group'), 'root:x:0:\n')
    for (const name of PROGRAMS) await copyProgram(program(name), join(folder, 'usr/bin', name), folder)
    // The executable's own: of the C library, which no other program loads.
    for (const library of ['libdl.so.2', 'libm.so.6', 'libpthread.so.0']) {
      copyInto(folder, join(await libraryFolder(), library))
    }
    await must(['tar', '-C', folder, '--owner=0', '--group=0', '-cf', archive, '.'])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export async function importDebianBase(docker: Docker): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-debian-'))
  try {
    await writeDebianBase(join(folder, 'base.tar'))
    await docker.must(['import', join(folder, 'base.tar'), DEBIAN_BASE])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function copyProgram(from: string, to: string, root: string): Promise<void> {
  copyFileSync(from, to)
  const loaded = await must(['ldd', from])
  for (const [, path = ''] of loaded.matchAll(/(\/\S+\.so\S*)/g)) copyInto(root, path)
}

async function libraryFolder(): Promise<string> {
  const loaded = await must(['ldd', program('sh')])
  return dirname(/=> (\/\S*libc\.so\.6)/.exec(loaded)?.[1] ?? '/lib/libc.so.6')
}

function copyInto(root: string, path: string): void {
  const place = join(root, path)
  if (existsSync(place)) return
  mkdirSync(dirname(place), { recursive: true })
  copyFileSync(path, place)
}
