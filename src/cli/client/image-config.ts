/** What an image says of how it runs, in docker's words. What it does not say is null, or empty. */
export interface ImageConfig {
  author: string | null
  user: string | null
  workingDir: string | null
  entrypoint: string[] | null
  cmd: string[] | null
  /** `NAME=VALUE` */
  env: string[]
  /** `8080/tcp` */
  exposedPorts: string[]
  /** Paths. */
  volumes: string[]
  stopSignal: string | null
  /** The words of the command, the kind of it (`CMD`, `CMD-SHELL`, `NONE`) first. */
  healthcheck: string[] | null
  labels: Record<string, string>
}

/** Of a configuration (OCI Image Specification 1.1, "Image Configuration"), which may hold anything: what has another form is left out. */
export function imageConfig({ author, config }: Record<string, unknown>): ImageConfig {
  const of = objectOf(config)
  return {
    author: textOf(author),
    user: textOf(of.User),
    workingDir: textOf(of.WorkingDir),
    entrypoint: wordsOf(of.Entrypoint),
    cmd: wordsOf(of.Cmd),
    env: wordsOf(of.Env) ?? [],
    exposedPorts: Object.keys(objectOf(of.ExposedPorts)),
    volumes: Object.keys(objectOf(of.Volumes)),
    stopSignal: textOf(of.StopSignal),
    healthcheck: wordsOf(objectOf(of.Healthcheck).Test),
    labels: Object.fromEntries(Object.entries(objectOf(of.Labels)).map(([label, value]) => [label, String(value)])),
  }
}

/** Names before values, for people; what an image does not say is undefined. */
export function configFields(config: ImageConfig): (readonly [string, string | undefined])[] {
  const [kind, ...test] = config.healthcheck ?? []
  return [
    ['User', config.user ?? undefined],
    ['Working dir', config.workingDir ?? undefined],
    ['Entrypoint', config.entrypoint?.length ? execForm(config.entrypoint) : undefined],
    ['Command', config.cmd?.length ? execForm(config.cmd) : undefined],
    ['Ports', config.exposedPorts.join(', ')],
    ['Volumes', config.volumes.join(', ')],
    ['Stop signal', config.stopSignal ?? undefined],
    ['Health check', kind === 'CMD' ? execForm(test) : kind === 'NONE' ? 'none' : test.join(' ')],
  ]
}

/** As a Dockerfile has it, where the words can be told apart. */
function execForm(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function wordsOf(value: unknown): string[] | null {
  return Array.isArray(value) ? value.map(String) : null
}
