import { type Finding, warning } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'
import { change } from './settings.ts'

/** Rules that cannot do what they look like. */
export function checkRules({ tokenServer, settings }: ServerFacts): Finding[] {
  if (tokenServer?.aclMode === 'union') return []
  return (tokenServer?.acl ?? []).flatMap(({ actions, where }, index) => {
    if (!actions.includes('push') || actions.includes('pull') || isAll(actions)) return []
    const message = 'this rule grants push without pull: a push also asks which layers are there, and needs both'
    return [
      warning(
        'push-without-pull',
        where,
        message,
        change(settings, ['tokenserver', 'acl', index, 'actions'], '["pull", "push"]'),
      ),
    ]
  })
}

const isAll = (actions: readonly string[]): boolean => actions.length === 1 && actions[0] === '*'
