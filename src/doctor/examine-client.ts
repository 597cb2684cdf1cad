import { checkDocker } from './check-docker.ts'
import { checkProxy } from './check-proxy.ts'
import { checkReach } from './check-reach.ts'
import { checkRights, type FindRuling } from './check-rights.ts'
import { checkServed } from './check-served.ts'
import { checkToken } from './check-token.ts'
import type { ClientFacts } from './client-facts.ts'
import type { Finding } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'

/**
 * What is wrong as a client sees it. `server`: the files of the server, where they are at hand; they name lines and rules. `now`: milliseconds
 * since the epoch.
 */
export function examineClient(
  facts: ClientFacts,
  server: ServerFacts | undefined,
  ruling: FindRuling,
  now: number,
): Finding[] {
  const settings = server?.settings
  return [
    ...checkReach(facts, settings),
    ...checkServed(facts, server, now),
    ...checkDocker(facts),
    ...checkToken(facts, server),
    ...checkRights(facts, settings, ruling),
    ...checkProxy(facts, settings),
  ]
}
