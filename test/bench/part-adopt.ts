import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TreeSize, writeTree } from '../distribution-tree.ts'
import { cleanEnvironment, must } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import type { Bench } from './part.ts'
import { peakMebibytesIfThere } from './process-figures.ts'

/** 10 links for each of 10,000 images: layers, configs, manifests, tags. */
const LARGE: TreeSize = { repositories: 500, images: 20, layers: 6, tags: 20 }
const SMALL: TreeSize = { repositories: 50, images: 20, layers: 6, tags: 20 }
const PART = 'Adoption of what registry:2 left'

/** Only Berth: nobody else adopts. The tree is in the page cache, as it is where registry:2 has just been stopped. */
export async function adopt(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  for (const size of bench.quick ? [SMALL] : [SMALL, LARGE]) await measure(bench, size)
}

async function measure(bench: Bench, size: TreeSize): Promise<void> {
  const images = size.repositories * size.images
  const links = images * (size.layers + 2) + size.repositories * size.tags * 2
  const directory = join(bench.workplace.folder('disk', `adopt-${links}`), 'data')
  bench.progress(`writing a tree of ${links} links`)
  mkdirSync(directory, { recursive: true })
  writeTree(directory, size)
  await must(['sync', '-f', directory])
  bench.progress(`adopting ${links} links`)
  const figure = (what: string, unit: string, value: number) =>
    bench.figures.add({ part: PART, name: `${links.toLocaleString('en')} links: ${what}`, unit }, 'berth', value)
  try {
    const began = performance.now()
    const child = Bun.spawn([BERTH, 'adopt', directory], {
      env: cleanEnvironment(),
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    let peak = 0
    const timer = setInterval(() => {
      peak = Math.max(peak, peakMebibytesIfThere(child.pid))
    }, 20)
    const code = await child.exited
    clearInterval(timer)
    if (code !== 0) throw new Error(await child.stderr.text())
    figure('time', 's', (performance.now() - began) / 1000)
    figure('peak memory', 'MiB', peak)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
