/** A value of an image's configuration that is not the same in both; undefined: it is not there. */
export interface ConfigChange {
  name: string
  before: string | undefined
  after: string | undefined
}

/** What other parts of a comparison tell, and what says nothing of how the image runs. */
const ELSEWHERE: readonly string[] = ['config', 'rootfs', 'history', 'container', 'container_config']

/** Of two configurations (OCI Image Specification 1.1, "Image Configuration"), which may hold anything. */
export function configChanges(before: Record<string, unknown>, after: Record<string, unknown>): ConfigChange[] {
  const [old, now] = [valuesOf(before), valuesOf(after)]
  const names = [...new Set([...old.keys(), ...now.keys()])].sort()
  return names
    .map((name) => ({ name, before: old.get(name), after: now.get(name) }))
    .filter((change) => change.before !== change.after)
}

/** `Env PATH`, `Labels version`, `Cmd`, `architecture` … → what stands there. */
function valuesOf(json: Record<string, unknown>): Map<string, string> {
  const values = new Map<string, string>()
  for (const [key, value] of Object.entries(json)) if (!ELSEWHERE.includes(key)) add(values, key, value)
  const { config } = json
  if (isObject(config)) {
    for (const [key, value] of Object.entries(config)) {
      if (key === 'Env' && Array.isArray(value)) {
        for (const text of value.map(String)) {
          const sign = text.indexOf('=')
          values.set(`Env ${sign === -1 ? text : text.slice(0, sign)}`, sign === -1 ? '' : text.slice(sign + 1))
        }
      } else if (isObject(value)) for (const [name, one] of Object.entries(value)) add(values, `${key} ${name}`, one)
      else add(values, key, value)
    }
  }
  return values
}

/** What is empty is as good as not there: builders differ in it. */
function add(values: Map<string, string>, name: string, value: unknown): void {
  if (value === null || value === undefined || value === '' || value === false) return
  if (Array.isArray(value) && value.length === 0) return
  values.set(name, typeof value === 'string' ? value : JSON.stringify(value))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
