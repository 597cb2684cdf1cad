import type { Tags } from '../../registry/tags.ts'
import type { Handler } from '../call.ts'
import { JSON_TYPE } from '../errors.ts'
import { jsonResponse } from '../json.ts'
import { nextLink, parsePage } from '../page.ts'

/**
 * OCI Distribution Specification 1.1, "Listing Tags" (end-8). Without `n` the answer has every tag, as registry:2
 * has it (clients do not follow links there); read in pages, so that no other request waits for it.
 */
export function createTagsHandlers({ tags, maxTags }: { tags: Tags; maxTags: number }): { list: Handler } {
  return {
    async list({ path, name, query }) {
      const { last, count } = parsePage(query)
      if (count === undefined) return answer(name, await all(name, last))
      const limit = Math.min(count, maxTags)
      const page = await tags.list(name, { last, limit: limit + 1 })
      const shown = page.slice(0, limit)
      const final = shown.at(-1)
      const more = page.length > limit && final !== undefined
      return answer(name, shown, more ? { Link: nextLink(path, final, limit) } : {})
    },
  }

  async function all(name: string, after: string | undefined): Promise<string[]> {
    const found: string[] = []
    let last = after
    for (;;) {
      const page = await tags.list(name, { last, limit: maxTags })
      found.push(...page)
      last = page.at(-1)
      if (page.length < maxTags) return found
    }
  }
}

function answer(name: string, tags: readonly string[], headers: Record<string, string> = {}): Response {
  return jsonResponse(`${JSON.stringify({ name, tags })}\n`, { 'Content-Type': JSON_TYPE, ...headers })
}
