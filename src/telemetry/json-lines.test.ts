import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type JsonLines, type JsonLinesOptions, openJsonLines } from './json-lines.ts'

const root = mkdtempSync(join(tmpdir(), 'berth-json-lines-'))
afterAll(() => rmSync(root, { recursive: true }))
let folders = 0
const opened: JsonLines[] = []
afterEach(async () => {
  for (const lines of opened.splice(0)) await lines.close()
})

async function setup(options: Partial<JsonLinesOptions> = {}, before?: string) {
  const folder = join(root, `${folders++}`)
  mkdirSync(folder)
  const path = join(folder, 'audit.json')
  if (before !== undefined) writeFileSync(path, before)
  const errors: string[] = []
  const onError = (error: Error) => errors.push(error.message.replace(path, 'FILE'))
  const lines = await openJsonLines(path, { maxBytes: 0, keep: 0, delayMs: 3_600_000, onError, ...options })
  opened.push(lines)
  const read = (suffix = '') => readFileSync(path + suffix, 'utf8')
  return { path, folder, lines, errors, read, names: () => readdirSync(folder).sort() }
}

/** Waits for what a thread does; half a minute at most. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !holds(); i++) await Bun.sleep(10)
}

describe('a file of JSON lines', () => {
  test('is for its owner alone, and gets whole lines, in order, when they are flushed', async () => {
    const { lines, read, path } = await setup()
    lines.write('{"a":1}')
    lines.write('{"b":"ü €"}')
    expect(read()).toBe('')
    await lines.flush()
    expect(read()).toBe('{"a":1}\n{"b":"ü €"}\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    lines.write('{"c":3}')
    await lines.close()
    expect(read()).toEndWith('{"c":3}\n')
  })

  test('gets lines by itself, soon, and at once when they are many', async () => {
    const soon = await setup({ delayMs: 1 })
    soon.lines.write('x')
    await until(() => soon.read() !== '')
    expect(soon.read()).toBe('x\n')
    const many = await setup()
    for (let i = 0; i < 300; i++) many.lines.write('y'.repeat(1000))
    // One write of many, which who reads meanwhile may see a part of.
    await until(() => many.read().length > 128 * 1000)
    expect(many.read().length).toBeGreaterThan(128 * 1000)
  })

  test('is continued by the next start, after a line that a crash cut off too', async () => {
    const whole = await setup({}, 'old\n')
    whole.lines.write('new')
    await whole.lines.close()
    expect(whole.read()).toBe('old\nnew\n')
    const torn = await setup({}, 'old\n{"to')
    torn.lines.write('new')
    torn.lines.write('newer')
    await torn.lines.close()
    expect(torn.read()).toBe('old\n{"to\nnew\nnewer\n')
  })

  test('is put aside when it is full, and the oldest goes', async () => {
    const { lines, read, names } = await setup({ maxBytes: 10, keep: 2 })
    for (const n of [1, 2, 3, 4, 5, 6, 7]) lines.write(`line${n}`)
    await lines.flush()
    expect(names()).toEqual(['audit.json', 'audit.json.1', 'audit.json.2'])
    expect([read(), read('.1'), read('.2')]).toEqual(['line7\n', 'line6\n', 'line5\n'])
    lines.write('x'.repeat(50))
    lines.write('8')
    await lines.close()
    expect([read(), read('.1'), read('.2')]).toEqual(['8\n', `${'x'.repeat(50)}\n`, 'line7\n'])
  })

  test('begins anew where none is kept', async () => {
    const { lines, read, names } = await setup({ maxBytes: 8, keep: 0 }, 'before\n')
    for (const n of [1, 2, 3]) lines.write(`line${n}`)
    await lines.close()
    expect([names(), read()]).toEqual([['audit.json'], 'line3\n'])
  })

  test('loses no line and has no file that is too long, whatever is written', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => JSON.stringify(text))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(line, { maxLength: 10 }), { maxLength: 6 }), async (batches) => {
        const { lines, read, names, errors } = await setup({ maxBytes: 200, keep: 100 })
        for (const batch of batches) {
          for (const text of batch) lines.write(text)
          await lines.flush()
        }
        await lines.close()
        const aside = names().length - 1
        const files = Array.from({ length: aside }, (_, i) => read(`.${aside - i}`)).concat(read())
        expect(files.join('')).toBe(
          batches
            .flat()
            .map((text) => `${text}\n`)
            .join(''),
        )
        expect(files.filter((text) => Buffer.byteLength(text) > 200 && text.split('\n').length > 2)).toEqual([])
        expect(errors).toEqual([])
      }),
      { numRuns: 50, seed: 20_260_101 },
    )
  })

  test('goes on in a new file where the old one was moved away', async () => {
    const { lines, read, path } = await setup()
    lines.write('one')
    await lines.flush()
    renameSync(path, `${path}.old`)
    lines.write('two')
    const reopened = lines.reopen()
    lines.write('meanwhile')
    await reopened
    lines.write('three')
    await lines.close()
    expect(read('.old')).toStartWith('one\ntwo\n')
    expect(read('.old') + read()).toBe('one\ntwo\nmeanwhile\nthree\n')
    expect(read()).toEndWith('three\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })
})

describe('what goes wrong', () => {
  test('at first is an error', async () => {
    let fault: unknown
    try {
      await openJsonLines(join(root, 'none', 'x'), { maxBytes: 0, keep: 0, onError: () => undefined })
    } catch (error) {
      fault = error
    }
    expect(fault).toMatchObject({ code: 'ENOENT' })
  })

  test('is told once, with what it cost when it is over, and never thrown', async () => {
    const errors: string[] = []
    const onError = (error: Error) => errors.push(error.message)
    // Opens, and has no room: as a full disk.
    const lines = await openJsonLines('/dev/full', { maxBytes: 1, keep: 3, onError, delayMs: 3_600_000 })
    for (let i = 0; i < 3; i++) {
      lines.write('x')
      await lines.flush()
    }
    await lines.close()
    expect(errors).toEqual(['/dev/full cannot be written'])
  })

  test('is over when the file can be written again', async () => {
    const { lines, errors, read } = await setup({ maxWaiting: 10 })
    lines.write('12345')
    lines.write('too much')
    lines.write('and more')
    await lines.flush()
    lines.write('ok')
    await lines.close()
    expect(read()).toBe('12345\nok\n')
    expect(errors).toEqual(['FILE cannot be written', 'FILE can be written again; up to 2 lines are lost'])
  })

  test('a file that cannot be put aside grows on', async () => {
    const { lines, errors, read, path } = await setup({ maxBytes: 10, keep: 1 })
    mkdirSync(`${path}.1/x`, { recursive: true })
    for (const n of [1, 2, 3, 4]) lines.write(`line${n}`)
    await lines.close()
    expect(read()).toBe('line1\nline2\nline3\nline4\n')
    expect(new Set(errors)).toEqual(new Set(['FILE cannot be put aside and grows on']))
  })

  test('after the end nothing is written, and nothing is thrown', async () => {
    const { lines, read, errors } = await setup()
    await lines.close()
    lines.write('late')
    await lines.flush()
    await lines.reopen()
    await lines.close()
    expect([read(), errors]).toEqual(['', []])
  })
})
