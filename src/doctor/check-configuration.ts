import type { Problem } from '../config/problem.ts'
import { type Finding, type FindingId, fault, fine, warning } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'

/** What `berth config check` says, as findings; what other checks say better is left to them. */
export function checkConfiguration({ problems, warnings, settings, hasTokenServer }: ServerFacts): Finding[] {
  const isOthers = ({ path, message }: Problem) =>
    (hasTokenServer && path === 'auth.token.issuer' && message.startsWith('the registry expects tokens')) ||
    (/(^|\.)users\..*\.password$/.test(path) && message.startsWith('is no bcrypt hash'))
  const found = [
    ...problems.filter((one) => !isOthers(one)).map((one) => finding(fault, 'config-invalid', one)),
    ...warnings.filter((one) => !isOthers(one)).map((one) => finding(warning, 'config-doubtful', one)),
  ]
  if (found.length > 0) return found
  const { at } = settings.root
  return [fine('configuration', at.kind === 'file' ? at.file : 'configuration', 'every key of it is understood')]
}

function finding(make: typeof fault, id: FindingId, { where, path, message, fix }: Problem): Finding {
  const fixes = fix === undefined ? [] : [where === '' ? fix : `${where}: ${fix}`]
  return make(id, where === '' ? path : where, path === '' ? message : `${path} ${message}`, ...fixes)
}
