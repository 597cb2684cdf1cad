import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import project from '../../package.json' with { type: 'json' }
import { run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'

describe('berth in a folder that somebody else filled', () => {
  let folder = ''
  const trace = () => join(folder, 'ran')

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-foreign-'))
    const trap = `require('node:fs').appendFileSync(${JSON.stringify(trace())}, __filename + '\\n')\n`
    writeFileSync(join(folder, 'trap.cjs'), trap)
    writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./trap.cjs"]\n[run]\npreload = ["./trap.cjs"]\n')
    writeFileSync(join(folder, '.env'), `BUN_OPTIONS=--preload=${folder}/trap.cjs\nREGISTRY_LOG_LEVEL=nonsense\n`)
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { paths: { '*': ['./trap.cjs'] }, jsxImportSource: 'trap' } }),
    )
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'foreign', imports: { '#*': './trap.cjs' } }))
    for (const name of Object.keys(project.dependencies)) {
      const library = join(folder, 'node_modules', name)
      mkdirSync(library, { recursive: true })
      writeFileSync(join(library, 'package.json'), JSON.stringify({ name, version: '99.0.0', main: 'index.cjs' }))
      writeFileSync(join(library, 'index.cjs'), trap)
    }
    mkdirSync(join(folder, 'src'))
    writeFileSync(join(folder, 'src/main.ts'), trap)
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('the trap works: the runtime without its flags runs what lies there', async () => {
    writeFileSync(join(folder, 'empty.cjs'), '')
    expect((await run([process.execPath, 'empty.cjs'], { cwd: folder })).code).toBe(0)
    expect(existsSync(trace())).toBe(true)
    rmSync(trace())
  })

  test('berth version prints its version and runs nothing of it', async () => {
    const { code, stdout } = await run([BERTH, 'version'], { cwd: folder })
    expect({ code, ran: existsSync(trace()) }).toEqual({ code: 0, ran: false })
    expect(stdout).toContain(project.version)
  })

  test('nor does it through a link that lies in the folder', async () => {
    symlinkSync(BERTH, join(folder, 'berth'))
    const { code, stdout } = await run(['./berth', 'version'], { cwd: folder })
    expect({ code, ran: existsSync(trace()) }).toEqual({ code: 0, ran: false })
    expect(stdout).toContain(project.version)
  })
})
