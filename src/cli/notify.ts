import { Command, Option } from 'commander'
import type {
  EndpointsView,
  EventDetailView,
  EventsView,
  EventView,
  RedeliveredView,
  TestedView,
} from '../http/api/notification-schemas.ts'
import { emptyText, type ListFlags, show, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  adminOptions,
  listOptions,
  ofProcess,
  segment,
  withApi,
} from './control.ts'
import { CommandError } from './error.ts'
import type { Listing } from './listing.ts'
import { printableJson, timeCell } from './table.ts'

interface EventFlags extends ListFlags {
  endpoint?: string
  state?: string
  limit: string
  before?: string
}

export function notifyCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('notify').description('look at notifications (webhooks), and send them again')

  listOptions(command.command('endpoints').description('list endpoints, and what waits for them')).action(
    async (flags: ListFlags) => {
      await withApi(context, flags, async (ask) => {
        showList(context, flags, await ask<EndpointsView>('GET', '/notifications/endpoints'), endpointsListing)
      })
    },
  )

  listOptions(command.command('list').alias('ls').description('list events for endpoints, the newest first'))
    .option('--endpoint <name>', 'for this endpoint alone')
    .addOption(new Option('--state <state>', 'in this state alone').choices(['waiting', 'delivered', 'dead']))
    .option('--limit <n>', 'rows at most, up to 1000', '100')
    .option('--before <id>', 'only what came before this one')
    .action(async (flags: EventFlags) => {
      const { endpoint, state, limit, before } = flags
      await withApi(context, flags, async (ask) => {
        const query = { endpoint, state, limit, before }
        const answer = await ask<EventsView>('GET', '/notifications/events', { query })
        showList(context, flags, answer, (json) => eventsListing(json, [endpoint, state, before]))
      })
    })

  adminOptions(command.command('show').description('show an event as its endpoint gets it').argument('<id>')).action(
    async (id: string, flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        const answer = await ask<EventDetailView>('GET', `/notifications/events/${segment(id)}`)
        show(context, flags, answer, eventTable)
        if (flags.format !== 'json') {
          context.out(`\n${printableJson(JSON.stringify({ events: [answer.json.notification] }, null, 3))}`)
        }
      })
    },
  )

  adminOptions(
    command
      .command('redeliver')
      .description('send events again that were delivered or given up')
      .argument('[id...]', 'events, as list shows them'),
  )
    .option('--dead <endpoint>', 'all that were given up for this endpoint')
    .action(async (ids: string[], flags: AdminFlags & { dead?: string }) => {
      const { dead } = flags
      if ((ids.length === 0) === (dead === undefined)) {
        throw new CommandError('name events (berth notify list shows them), or --dead ENDPOINT', 2)
      }
      await withApi(context, flags, async (ask) => {
        for (const id of ids) {
          const answer = await ask<EventView>('POST', `/notifications/events/${segment(id)}/redeliver`)
          tell(context, flags, answer, `The event ${id} is queued for ${answer.json.endpoint} again.`)
        }
        if (dead === undefined) return
        const answer = await ask<RedeliveredView>('POST', '/notifications/redeliver', { body: { endpoint: dead } })
        const { queued } = answer.json
        tell(context, flags, answer, `${queued} ${queued === 1 ? 'event is' : 'events are'} queued for ${dead} again.`)
      })
    })

  adminOptions(
    command.command('test').description('send a test to an endpoint, now and past its queue').argument('<endpoint>'),
  ).action(async (endpoint: string, flags: AdminFlags) => {
    await withApi(context, flags, async (ask) => {
      const answer = await ask<TestedView>('POST', `/notifications/endpoints/${segment(endpoint)}/test`)
      const { accepted, result, tookMs } = answer.json
      const verdict = accepted ? 'accepted the test' : 'did not accept the test'
      tell(context, flags, answer, `${endpoint} ${verdict}: ${result} (${tookMs} ms)`)
      if (!accepted) context.setExitCode(1)
    })
  })
  return command
}

function endpointsListing({ endpoints }: EndpointsView): Listing {
  const rows = endpoints.map((one) => [
    one.name,
    one.origin || '-',
    stateOf(one),
    String(one.waiting),
    String(one.delivered),
    String(one.dead),
    timeCell(one.retryAt),
  ])
  return {
    titles: ['NAME', 'WHERE', 'STATE', 'WAITING', 'DELIVERED', 'DEAD', 'NEXT TRY'],
    ...{ rows, keep: ['NAME'], empty: 'There are no endpoints: notifications.endpoints in config.yml names them.' },
  }
}

function stateOf({ disabled, failures }: EndpointsView['endpoints'][number]): string {
  if (disabled) return 'disabled'
  if (failures === null) return 'not served'
  return failures === 0 ? 'ok' : `${failures} failures`
}

function eventsListing({ events }: EventsView, conditions: readonly unknown[]): Listing {
  const rows = events.map((one) => [
    String(one.id),
    timeCell(one.at),
    one.endpoint,
    one.action,
    targetOf(one),
    one.state,
    String(one.attempts),
    one.result || '-',
  ])
  return {
    titles: ['ID', 'TIME', 'ENDPOINT', 'ACTION', 'TARGET', 'STATE', 'ATTEMPTS', 'RESULT'],
    ...{ rows, keep: ['ID'], spare: ['ATTEMPTS', 'RESULT'] },
    empty: emptyText('There are no events.', conditions),
  }
}

/** `team/app:v1`, `team/app@sha256:…`, `team/app` */
function targetOf({ repository, tag, digest }: EventView): string {
  if (tag !== null) return `${repository}:${tag}`
  return digest === null ? repository : `${repository}@${digest}`
}

function eventTable(one: EventDetailView): string[][] {
  return [
    ['Id', String(one.id)],
    ['Endpoint', one.endpoint],
    ['State', one.state],
    ['Happened', timeCell(one.at)],
    ['Queued', timeCell(one.queuedAt)],
    ['Attempts', String(one.attempts)],
    ['Last try', timeCell(one.triedAt)],
    ['Next try', timeCell(one.retryAt)],
    ['Result', one.result || '-'],
  ]
}
