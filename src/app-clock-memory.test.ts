import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClockMemory } from './app-clock-memory.ts'

test('the hold of a clock is in a file of the data directory, and what is none there holds nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-clock-'))
  try {
    const memory = createClockMemory(folder)
    expect(memory.read()).toBeUndefined()
    const hold = { boot: memory.boot, until: 5000, left: 4000, ahead: 3000 }
    memory.write({ ...hold, left: 1 })
    memory.write(hold)
    expect(createClockMemory(folder).read()).toEqual(hold)
    expect(readdirSync(folder)).toEqual(['berth-clock.json'])
    for (const text of ['', '{', 'null', '[]', '{"boot":"x","until":"1","left":2,"ahead":3}']) {
      writeFileSync(join(folder, 'berth-clock.json'), text)
      expect(memory.read()).toBeUndefined()
    }
    expect(() => createClockMemory(join(folder, 'none')).write(hold)).not.toThrow()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
