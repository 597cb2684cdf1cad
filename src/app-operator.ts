import { OPERATOR } from './auth/administration.ts'
import type { Caller } from './http/api/api.ts'

/** Whoever may open the data directory or its socket: he could read the database just as well. */
export const OPERATOR_CALLER: Caller = { account: OPERATOR.account, source: OPERATOR.source, admin: true }
