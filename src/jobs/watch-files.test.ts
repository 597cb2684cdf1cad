import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FileWatch, watchFiles } from './watch-files.ts'

const LOOK = 10
const folders: string[] = []
const watches: FileWatch[] = []

afterEach(() => {
  for (const watch of watches.splice(0)) watch.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function start(onChange: (call: number) => Promise<void> | void = () => {}) {
  const folder = mkdtempSync(join(tmpdir(), 'berth-watch-'))
  folders.push(folder)
  const file = join(folder, 'file')
  writeFileSync(file, 'first')
  const paths = [file]
  let calls = 0
  const watch = watchFiles({
    paths: () => paths,
    onChange: async () => {
      calls++
      await onChange(calls)
    },
    intervalMs: LOOK,
  })
  watches.push(watch)
  return { folder, file, paths, watch, calls: () => calls }
}

/** Waits until it holds, for a few seconds at most, and then for whatever else might come. */
async function settle(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await Bun.sleep(LOOK)
  await Bun.sleep(10 * LOOK)
}

test.each([
  ['is written', (file: string) => writeFileSync(file, 'second')],
  ['is written with as many bytes', (file: string) => writeFileSync(file, 'FIRST')],
  [
    'is replaced by another that was renamed',
    (file: string) => {
      writeFileSync(`${file}.new`, 'first')
      renameSync(`${file}.new`, file)
    },
  ],
  ['is removed', (file: string) => rmSync(file)],
])('a file that %s is a change, once', async (_, change) => {
  const { file, calls } = start()
  await settle(() => true)
  expect(calls()).toBe(0)
  change(file)
  await settle(() => calls() > 0)
  expect(calls()).toBe(1)
})

test('a symbolic link that leads to another file is a change', async () => {
  const { folder, paths, calls } = start()
  const link = join(folder, 'link')
  writeFileSync(join(folder, 'other'), 'other')
  symlinkSync(join(folder, 'file'), link)
  paths.push(link)
  await settle(() => calls() === 1)
  symlinkSync(join(folder, 'other'), `${link}.new`)
  renameSync(`${link}.new`, link)
  await settle(() => calls() === 2)
  expect(calls()).toBe(2)
})

test('what changes while the change before is acted on is acted on, too', async () => {
  const { file, calls } = start(async (call) => {
    if (call === 1) writeFileSync(file, 'third, while the second is being read')
    await Bun.sleep(2 * LOOK)
  })
  writeFileSync(file, 'second')
  await settle(() => calls() === 2)
  expect(calls()).toBe(2)
})

test('files that are named only after a change are watched from then on', async () => {
  const { folder, file, paths, calls } = start((call) => {
    if (call === 1) paths.push(join(folder, 'more'))
  })
  writeFileSync(join(folder, 'more'), 'x')
  writeFileSync(file, 'second')
  await settle(() => calls() === 1)
  expect(calls()).toBe(1)
  writeFileSync(join(folder, 'more'), 'xx')
  await settle(() => calls() === 2)
  expect(calls()).toBe(2)
})

test('a trigger acts without a change, never twice at once, and again when it came in between', async () => {
  let running = 0
  let most = 0
  const { watch, calls } = start(async () => {
    most = Math.max(most, ++running)
    await Bun.sleep(2 * LOOK)
    running--
  })
  await Promise.all([watch.trigger(), watch.trigger(), watch.trigger()])
  expect([most, calls()]).toEqual([1, 2])
})

test('nothing is looked at after stop', async () => {
  const { watch, file, calls } = start()
  watch.stop()
  writeFileSync(file, 'second')
  await settle(() => true)
  expect(calls()).toBe(0)
})
