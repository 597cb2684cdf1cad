/** What a check found: undefined when all is well, else what is wrong, in words that may be shown to an operator. */
export type Finding = string | undefined

export interface CheckOptions {
  /** Findings in a row before the check fails. */
  threshold: number
  /**
   * What fails with it: `requests` takes the registry out of service (every request is answered 503), `readiness` only says
   * so to whoever asks, `notice` is shown and no more.
   */
  stops: 'requests' | 'readiness' | 'notice'
}

export interface HealthCheck {
  report(finding: Finding): void
  remove(): void
}

/** What is wrong now, as the checks found it. */
export interface Health {
  /** False while a check fails that takes the registry out of service. Read with every request. */
  readonly inService: boolean
  /** Finding of each check that fails. */
  failures(): Record<string, string>
  /** Those among them that keep the registry from being ready. */
  unready(): Record<string, string>
  /** Names of all checks, and whether each is well. */
  all(): [name: string, isWell: boolean][]
  /** A new check is well until it says otherwise; one of the same name makes way. */
  add(name: string, options: CheckOptions): HealthCheck
}

interface State extends CheckOptions {
  name: string
  inARow: number
  finding: Finding
}

/** `onChange` hears when a check begins to fail, and (undefined) when it is well again. */
export function createHealth(options: { onChange?: (name: string, finding: Finding) => void } = {}): Health {
  const states = new Map<string, State>()
  let inService = true

  function change(state: State, finding: Finding): void {
    if ((state.finding === undefined) !== (finding === undefined)) options.onChange?.(state.name, finding)
    state.finding = finding
    update()
  }

  function update(): void {
    inService = ![...states.values()].some(({ stops, finding }) => stops === 'requests' && finding !== undefined)
  }

  function failing(counts: (state: State) => boolean): Record<string, string> {
    const found: Record<string, string> = {}
    for (const state of states.values()) {
      if (state.finding !== undefined && counts(state)) found[state.name] = state.finding
    }
    return found
  }

  return {
    get inService() {
      return inService
    },
    failures: () => failing(() => true),
    unready: () => failing(({ stops }) => stops !== 'notice'),
    all: () => [...states.values()].map(({ name, finding }) => [name, finding === undefined]),
    add(name, { threshold, stops }) {
      const state: State = { name, threshold, stops, inARow: 0, finding: undefined }
      states.set(name, state)
      update()
      return {
        report(finding) {
          if (states.get(name) !== state) return
          state.inARow = finding === undefined ? 0 : state.inARow + 1
          if (finding === undefined || state.inARow >= threshold) change(state, finding)
        },
        remove() {
          if (states.get(name) === state) states.delete(name)
          update()
        },
      }
    },
  }
}
