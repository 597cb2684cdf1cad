/** Undefined for what is no JSON, or no object (nor an array). Bytes that are no UTF-8 are read as far as they can be. */
export function jsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
