import { z } from '@hono/zod-openapi'

/** A schema of its own name, or null: of `nullable()` the document would know nothing there. */
export function orNull<T extends z.ZodType>(schema: T) {
  return z.union([schema, z.null()])
}
