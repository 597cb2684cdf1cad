import { z } from 'zod'
import { described, flag, integer, list, section, text, texts } from './schema.ts'

/** What a receiver may take the envelope for: distribution 3's media type, and that of 2.8, whose fields are the same. */
export const EVENT_MEDIA_TYPES = [
  'application/vnd.docker.distribution.events.v2+json',
  'application/vnd.docker.distribution.events.v1+json',
] as const

const number = (doc: string) => integer(0, doc)

const endpoint = () =>
  z.object({
    name: text('Name of its queue, and in lists, logs and metrics'),
    disabled: flag(false, 'Nothing is sent, and nothing new is queued'),
    url: text('Where notifications are posted to'),
    headers: z
      .record(z.string(), z.array(z.string()))
      .default({})
      .meta({ description: 'Headers of the requests: lists of values', secret: true }),
    timeout: text('How long one request may take; 0 or less for 1s'),
    threshold: number('Failures in a row before the endpoint is left alone for a while; 0 or less for 10'),
    backoff: text('How long it is left alone at first; 0 or less for 1s'),
    ignoredmediatypes: texts('Old name of ignore.mediatypes'),
    ignore: section(
      { mediatypes: texts('Media types of targets'), actions: texts('push, pull, mount, delete') },
      'What the endpoint is not told of',
    ),
    mediatype: described(
      z._default(z.enum(EVENT_MEDIA_TYPES), EVENT_MEDIA_TYPES[0]),
      'Own key: media type of the envelope',
    ),
    maxattempts: number('Own key: attempts after which an event is given up; 0 for any number'),
    maxage: text('Own key: age at which an event that cannot be delivered is given up; 0 for never, 72h unless told'),
  })

export const notifications = section(
  {
    events: section({ includereferences: flag(false, 'Add references of manifests to events') }, 'Events'),
    endpoints: list(endpoint, 'Who is told of events'),
  },
  'Webhooks',
)
