import type { Subject } from '../auth/gate.ts'
import { isNear } from './peer.ts'
import { requestIdOf } from './request-id.ts'
import type { Target } from './routes.ts'
import type { Connection } from './server.ts'

/** What becomes known of a request on its way, for whoever counts and logs when it is answered. */
export interface Trail {
  readonly request: Request
  readonly connection: Connection
  /** Of a clock that is never set back, milliseconds; 0 where nobody measures. */
  readonly startedAt: number
  /** What of the registry it names; undefined before that is known, and for everything else. */
  target: Target | undefined
  subject: Subject | undefined
  /** Whether the answer has the headers that every answer has. */
  complete: boolean
  /** Why it was not authorized. */
  refusal: string | undefined
  /** What was thrown. */
  error: unknown
  id: string | undefined
  /** Of the trace that it is part of. */
  traceId: string | undefined
}

export function createTrail(request: Request, connection: Connection, startedAt: number): Trail {
  return {
    request,
    connection,
    startedAt,
    target: undefined,
    subject: undefined,
    complete: false,
    refusal: undefined,
    error: undefined,
    id: undefined,
    traceId: undefined,
  }
}

/** Made up when it is first asked for: most requests need none. */
export function idOf(trail: Trail): string {
  trail.id ??= requestIdOf(trail.request, isNear(trail.connection.peer()))
  return trail.id
}
