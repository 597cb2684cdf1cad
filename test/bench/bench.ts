/**
 * Measures Berth beside Debian's docker-registry, with the same work on the same disk, in turns.
 *
 *   npm run bench -- [--quick] [--full-memory] [--only PART,...] [--servers berth,peer] [--rounds N] [--json FILE]
 *
 * `--full-memory` is for virtual machines whose free memory is not theirs until it is written to (full-memory.ts).
 * Prints Markdown on stdout and progress on stderr. Exit code 1 when a server failed, not when a goal is missed.
 */
import { writeFileSync, writeSync } from 'node:fs'
import { makeCredentials } from './credentials.ts'
import { collectFigures } from './figures.ts'
import { fillMemory } from './full-memory.ts'
import { describeMachine } from './machine.ts'
import { parseOptions } from './options.ts'
import type { Bench, Part } from './part.ts'
import { adopt } from './part-adopt.ts'
import { client } from './part-client.ts'
import { contention } from './part-contention.ts'
import { flat } from './part-flat.ts'
import { gc } from './part-gc.ts'
import { manifests } from './part-manifests.ts'
import { memory } from './part-memory.ts'
import { packaged } from './part-package.ts'
import { scale } from './part-scale.ts'
import { scrub } from './part-scrub.ts'
import { start } from './part-start.ts'
import { tokens } from './part-tokens.ts'
import { transfer } from './part-transfer.ts'
import { renderTable } from './table.ts'
import { openWorkplace } from './workplace.ts'

const PARTS = {
  client,
  start,
  package: packaged,
  transfer,
  manifests,
  contention,
  tokens,
  memory,
  flat,
  adopt,
  gc,
  scrub,
  scale,
} satisfies Record<string, Part>
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

const options = parseOptions(process.argv.slice(2), NAMES)
const workplace = openWorkplace()
const began = performance.now()
const elapsed = () => `${Math.round((performance.now() - began) / 1000)} s`
const figures = collectFigures()
let failures = 0
let part = 'start'
const fail = (what: string, cause: unknown) => {
  failures++
  console.error(cause)
  const lines = cause instanceof Error ? cause.message.trim().split('\n') : [String(cause)]
  figures.note(`**Not measured: ${part}: ${what}**: ${lines.findLast((line) => line.trim() !== '') ?? ''}`)
}
const filler = workplace.folder('disk', 'full-memory')
const bench: Bench = {
  workplace,
  credentials: await makeCredentials(workplace.folder('disk', 'credentials')),
  figures,
  servers: options.servers,
  rounds: options.rounds,
  quick: options.quick,
  prepareMemory: options.fullMemory ? () => fillMemory(filler) : () => {},
  progress: (text) => console.error(`[${elapsed()}] ${part}: ${text}`),
  fail,
}
const machine = await describeMachine(process.cwd())

/** What was measured so far: also when somebody presses Ctrl-C. */
function report(): void {
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
  const lines = [
    `Machine: ${machine}\n`,
    `Command: \`${command}\`; medians of ${options.rounds} rounds in turns; took ${elapsed()}.\n`,
    `${renderTable(figures.all())}\n`,
    ...figures.notes().map((note) => `- ${note}`),
  ]
  writeSync(1, `${lines.join('\n')}\n`)
  if (options.json === undefined) return
  const result = { machine, command, rounds: options.rounds, figures: figures.all(), notes: figures.notes() }
  writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
}

process.on('exit', report)
for (const name of options.parts) {
  part = name
  try {
    await PARTS[name](bench)
  } catch (cause) {
    fail(name, cause)
  }
}
if (!workplace.media.includes('memory')) figures.note('Nothing was measured in memory: /dev/shm has too little room.')
process.exit(failures === 0 ? 0 : 1)
