import { resolve } from 'node:path'
import type { Config } from './config/config.ts'
import { type ExportOptions, runExport } from './export/export.ts'
import { ExportError } from './export/export-error.ts'
import type { Report } from './export/report.ts'
import type {
  ContentBlobsView,
  ContentManifestsView,
  ContentMovesView,
  ContentRepositoriesView,
  ContentTagsView,
} from './http/api/schemas.ts'
import type { Control } from './run-control.ts'

export type { Progress } from './export/export.ts'
export { ExportError } from './export/export-error.ts'
export { type Finding, isProblem, type Report } from './export/report.ts'
export { parseSelection, type Selection } from './export/selection.ts'

export type ExportRequest = Omit<ExportOptions, 'contents' | 'storage' | 'directory' | 'inPlace'> & {
  /** Undefined: in place, in the data directory. */
  directory: string | undefined
}

/**
 * Exports what a data directory holds. The files are written by this process; what there is comes in pages from whoever has
 * the directory open. In place that must be this process, and no server: what a server took after the export would not be
 * in the tree, and the original's garbage-collect would delete it.
 * @throws ExportError
 */
export async function exportData(control: Control, config: Config, request: ExportRequest): Promise<Report> {
  const storage = resolve(config.data.directory)
  if (request.directory === undefined && control.isServer) {
    throw new ExportError(
      `a server runs on ${storage}; stop it first. What is pushed to it after an export in place would not be in the ` +
        "tree, and the original's garbage-collect would delete it. (berth export DIR works while it runs)",
    )
  }
  return await runExport({
    ...request,
    storage,
    directory: request.directory === undefined ? storage : resolve(request.directory),
    inPlace: request.directory === undefined,
    contents: contentsOf(control),
  })
}

/** The rows of the data directory, whoever has it open. */
function contentsOf(control: Control): ExportOptions['contents'] {
  async function ask<T>(noun: string, query: Record<string, string | number | undefined>): Promise<T> {
    const given = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value))
    let response: Response
    try {
      response = await control.fetch(new Request(`http://berth/api/v1/contents/${noun}?${given}`))
    } catch (error) {
      throw new ExportError('the server has ended. Export again: what is there already is kept', error)
    }
    if (response.ok) return (await response.json()) as T
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new ExportError(`the server does not tell what it holds: ${problem.detail ?? response.status}`)
  }

  return {
    repositories: async (page) => (await ask<ContentRepositoriesView>('repositories', { ...page })).repositories,
    async manifests(repository, filter, page) {
      const found = await ask<ContentManifestsView>('manifests', { repository, ...filter, ...page })
      const manifests = found.manifests.map(({ bytes, subject, artifactType, annotations, ...row }) => ({
        ...row,
        subject,
        artifactType,
        annotations,
        bytes: Buffer.from(bytes, 'base64'),
      }))
      return { manifests, more: found.more }
    },
    tags: async (repository, page) => (await ask<ContentTagsView>('tags', { repository, ...page })).tags,
    moves: async (repository, page) => (await ask<ContentMovesView>('moves', { repository, ...page })).moves,
    blobs: async (repository, filter, page) =>
      (await ask<ContentBlobsView>('blobs', { repository, ...filter, ...page })).blobs,
  }
}
