import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { findProgram, run } from '../programs.ts'
import { peerProgram } from './servers.ts'

/** One line: what it ran on, and which programs ran. */
export async function describeMachine(folder: string): Promise<string> {
  const memory = Math.round(totalmem() / 1024 ** 3)
  const cpu = cpus()[0]?.model.trim() ?? 'unknown processor'
  const versions = [`Bun ${Bun.version}`, await peerVersion(), await wrkVersion()]
  const machine = [`${availableParallelism()} cores (${cpu})`, `${memory} GiB`, `Linux ${release()}`, diskOf(folder)]
  return `${machine.join(', ')}; ${versions.join(', ')}`
}

async function peerVersion(): Promise<string> {
  const { stdout, stderr } = await run([peerProgram(), '--version'])
  return `docker-registry ${/\S+$/.exec((stdout + stderr).trim())?.[0] ?? '?'}`
}

async function wrkVersion(): Promise<string> {
  const wrk = findProgram('wrk')
  if (wrk === undefined) return 'no wrk (apt-get install wrk): own client instead, which is a lower limit'
  // `wrk -v` prints the version and its usage, and fails.
  const { stdout, stderr } = await run([wrk, '-v'])
  return /^wrk \S+/.exec(stdout + stderr)?.[0] ?? 'wrk'
}

/** File system, device, and whether the device turns. */
function diskOf(folder: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point = '']) => folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`))
    .toSorted(([, a = ''], [, b = '']) => b.length - a.length)
  const [device = 'unknown', , type = 'unknown'] = mounts[0] ?? []
  const block = device.replace(/^\/dev\//, '')
  const rotational = readRotational(block) ?? readRotational(block.replace(/p?\d+$/, ''))
  const kind = rotational === undefined ? '' : rotational ? ' (says it rotates)' : ' (says it is solid state)'
  return `${type} on ${device}${kind}`
}

function readRotational(block: string): boolean | undefined {
  try {
    return readFileSync(`/sys/block/${block}/queue/rotational`, 'utf8').trim() === '1'
  } catch {
    return undefined
  }
}
