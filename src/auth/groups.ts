import type { GroupRow, Metadata, Page } from '../metadata/metadata.ts'
import { nameProblem } from './account-name.ts'
import { type Actor, answered, ChangeError, type Changes, invalid, notFound } from './administration.ts'

export type Group = GroupRow

/** Groups of Berth's own users: the values of their label `groups`. All throw ChangeError and UnavailableError. */
export interface GroupBook {
  find(name: string): Promise<Group | undefined>
  list(page: Page): Promise<Group[]>
  create(group: { name: string; description?: string | undefined }, actor: Actor): Promise<Group>
  change(name: string, change: { description: string }, actor: Actor): Promise<Group>
  /** Takes its memberships with it. */
  remove(name: string, actor: Actor): Promise<void>
  members(name: string, page: Page): Promise<string[]>
  /** Whoever is a member already stays one. */
  join(group: string, user: string, actor: Actor): Promise<void>
  leave(group: string, user: string, actor: Actor): Promise<void>
}

export function createGroups(deps: {
  metadata: Pick<Metadata, 'groups'>
  now: () => number
  changes: Changes
}): GroupBook {
  const { now, changes } = deps
  const { groups } = deps.metadata

  async function group(name: string): Promise<GroupRow> {
    const row = await groups.find(name)
    if (row === undefined) throw notFound(`group ${name}`)
    return row
  }

  return {
    find: (name) => answered(() => groups.find(name)),
    list: (page) => answered(() => groups.list(page)),

    async create({ name, description = '' }, actor) {
      return await changes.run(actor, `group ${name}`, 'made', async () => {
        const problem = nameProblem('group', name)
        if (problem !== undefined) throw invalid('name', problem)
        if ((await groups.find(name)) !== undefined) {
          throw new ChangeError('conflict', `there is a group ${name} already`)
        }
        const row = { name, description, createdAt: now() }
        await groups.put(row)
        return row
      })
    },

    async change(name, { description }, actor) {
      return await changes.run(actor, `group ${name}`, 'description', async () => {
        const row = { ...(await group(name)), description }
        await groups.put(row)
        return row
      })
    },

    async remove(name, actor) {
      await changes.run(actor, `group ${name}`, 'removed', async () => {
        if (!(await groups.remove(name))) throw notFound(`group ${name}`)
      })
    },

    async members(name, page) {
      return await answered(async () => {
        await group(name)
        return await groups.members(name, page)
      })
    },

    async join(name, user, actor) {
      await changes.run(actor, `group ${name}`, `${user} joins`, async () => {
        const outcome = await groups.join(name, user)
        if (outcome === 'no-group') throw notFound(`group ${name}`)
        if (outcome === 'no-user') throw notFound(`user ${user}`)
      })
    },

    async leave(name, user, actor) {
      await changes.run(actor, `group ${name}`, `${user} leaves`, async () => {
        if (await groups.leave(name, user)) return
        await group(name)
        throw new ChangeError('not-found', `${user} is not a member of ${name}`)
      })
    },
  }
}
