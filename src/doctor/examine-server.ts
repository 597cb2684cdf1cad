import { checkConfiguration } from './check-configuration.ts'
import { checkNames } from './check-names.ts'
import { checkPairs } from './check-pairs.ts'
import { checkPasswords } from './check-passwords.ts'
import { checkRules } from './check-rules.ts'
import { checkSigningKey } from './check-signing-key.ts'
import { checkStorage } from './check-storage.ts'
import type { Finding } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'

const CHECKS: readonly ((facts: ServerFacts, now: number) => Finding[])[] = [
  checkConfiguration,
  checkNames,
  checkPairs,
  checkSigningKey,
  checkRules,
  checkPasswords,
  checkStorage,
]

/** What is wrong on the server's machine, as far as its files show it. `now`: milliseconds since the epoch. */
export function examineServer(facts: ServerFacts, now: number): Finding[] {
  return CHECKS.flatMap((check) => check(facts, now))
}
