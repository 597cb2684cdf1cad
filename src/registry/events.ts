import { LRUCache } from 'lru-cache'
import type { EventRow, NewEvent } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import type { StoredManifest } from './manifests.ts'

/** The request behind an event. */
export interface EventCause {
  /** `''` for a client without credentials. */
  actor: string
  /** Scheme, host and prefix that clients reach the registry by, ending in a slash. */
  base: string
  request: { id: string; addr: string | undefined; host: string | undefined; method: string; useragent: string }
}

/** What an event is about, as far as its action tells of it. */
export interface EventTarget {
  repository: string
  digest?: Digest
  tag?: string | undefined
  mediaType?: string
  /** Bytes. */
  size?: number
  fromRepository?: string | undefined
  /** What the digest names; with it, the event has a URL. */
  kind?: 'manifests' | 'blobs'
  references?: () => readonly Descriptor[]
}

/** Who is told of what (distribution's `notifications` section). */
export interface NotificationRules {
  includeReferences: boolean
  endpoints: readonly {
    name: string
    disabled: boolean
    ignoredMediaTypes: readonly string[]
    ignoredActions: readonly string[]
  }[]
}

/** The registry node that events come from. */
export interface EventSource {
  addr: string
  instanceID: string
}

export interface Events {
  /** Whether any endpoint wants to hear of pulls: asked before anything is done for one. */
  readonly wantsPulls: boolean
  /**
   * The rows that a change writes in its own transaction: none where no endpoint wants them, or where no request is behind
   * it. The cause is asked for only where there is a row.
   */
  of(action: NewEvent['action'], target: EventTarget, cause: (() => EventCause) | undefined): NewEvent[]
  /** After the transaction: the endpoints' queues have something new. `each`: how many rows came of each event. */
  queued(events: readonly NewEvent[], each?: number): void
  /** Takes note of a pull. Never waits: rows follow in portions. */
  pulled(target: EventTarget, cause: () => EventCause): void
}

/** Nobody is told of anything. */
export const NO_EVENTS: Events = { wantsPulls: false, of: () => [], queued() {}, pulled() {} }

/** The media type that registry:2 has for every blob. */
export const BLOB_MEDIA_TYPE = 'application/octet-stream'

export function createEvents(deps: {
  rules: () => NotificationRules
  source: () => EventSource
  now: () => number
  newId: () => string
  onQueued: (events: readonly NewEvent[], each: number) => void
  /** Gets the rows of pulls. */
  onPull: (event: NewEvent) => void
  /** Whether an endpoint's queue is so long that pulls do not count any more. */
  isFull: (endpoint: string) => boolean
}): Events {
  const { now, newId, onPull, isFull } = deps
  // Asked at each pull: the answer changes with the configuration alone.
  let weighed: NotificationRules | undefined
  let wanted = false

  function wanting(action: NewEvent['action'], mediaType: string | undefined): string[] {
    const { endpoints } = deps.rules()
    const names: string[] = []
    for (const endpoint of endpoints) {
      if (endpoint.disabled || endpoint.ignoredActions.includes(action)) continue
      // Events of deletions have no media type, and so none of them is ignored for it.
      if (mediaType !== undefined && endpoint.ignoredMediaTypes.includes(mediaType)) continue
      names.push(endpoint.name)
    }
    return names
  }

  function make(action: NewEvent['action'], target: EventTarget, endpoints: string[], cause: EventCause): NewEvent {
    const { repository, tag, digest, mediaType, size, fromRepository, kind } = target
    const references = deps.rules().includeReferences ? target.references?.() : undefined
    const detail: EventDetail = {
      target: {
        size,
        fromRepository,
        url: kind === undefined || digest === undefined ? undefined : `${cause.base}v2/${repository}/${kind}/${digest}`,
        references: references === undefined || references.length === 0 ? undefined : references,
      },
      request: cause.request,
      actor: { name: cause.actor === '' ? undefined : cause.actor },
      source: deps.source(),
    }
    return {
      event: newId(),
      at: now(),
      action,
      repository,
      tag,
      digest,
      mediaType,
      detail: JSON.stringify(detail),
      endpoints,
    }
  }

  return {
    get wantsPulls() {
      const rules = deps.rules()
      if (rules !== weighed) {
        weighed = rules
        wanted = rules.endpoints.some(({ disabled, ignoredActions }) => !disabled && !ignoredActions.includes('pull'))
      }
      return wanted
    },

    of(action, target, cause) {
      if (cause === undefined) return []
      const endpoints = wanting(action, target.mediaType)
      return endpoints.length === 0 ? [] : [make(action, target, endpoints, cause())]
    },

    queued(events, each = 1) {
      if (events.length > 0) deps.onQueued(events, each)
    },

    pulled(target, cause) {
      const endpoints = wanting('pull', target.mediaType).filter((endpoint) => !isFull(endpoint))
      if (endpoints.length > 0) onPull(make('pull', target, endpoints, cause()))
    },
  }
}

/** What distribution calls the references of a manifest: its config and layers, or its children. */
export function describedBy({ config, layers, manifests }: Manifest): readonly Descriptor[] {
  return [...(config === undefined ? [] : [config]), ...layers, ...manifests].map(referenceOf)
}

/** In the order of distribution's fields. */
function referenceOf({ mediaType, size, digest, urls, annotations, platform }: Descriptor): Descriptor {
  return {
    mediaType,
    size,
    digest,
    ...(urls === undefined ? {} : { urls }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
  }
}

/** References of manifests that are pulled, which are parsed once: a digest names its content. */
export function createReferencesOf(): (manifest: StoredManifest) => readonly Descriptor[] {
  const known = new LRUCache<string, readonly Descriptor[]>({ max: 500 })
  return ({ digest, mediaType, bytes }) => {
    const key = `${digest} ${mediaType}`
    let references = known.get(key)
    if (references !== undefined) return references
    try {
      references = describedBy(parseManifest(bytes, mediaType))
    } catch {
      // It was stored by other rules than today's; its pull must not fail for that.
      references = []
    }
    // A few manifests name thousands of layers: memory is for those that are pulled.
    if (references.length <= 200) known.set(key, references)
    return references
  }
}

/** What a row's `detail` holds. */
interface EventDetail {
  target: {
    size: number | undefined
    fromRepository: string | undefined
    url: string | undefined
    references: readonly Descriptor[] | undefined
  }
  request: EventCause['request']
  actor: { name: string | undefined }
  source: EventSource
}

/** An event as receivers get it: distribution's notifications/event.go, field for field. */
export function notificationOf(row: Omit<EventRow, 'action'> & { action: string; detail: string }): object {
  const { target, request, actor, source } = JSON.parse(row.detail) as EventDetail
  return {
    id: row.event,
    timestamp: new Date(row.at).toISOString(),
    action: row.action,
    target: {
      mediaType: row.mediaType,
      // Go leaves out what is 0.
      size: target.size || undefined,
      digest: row.digest,
      length: target.size || undefined,
      repository: row.repository,
      fromRepository: target.fromRepository,
      url: target.url,
      tag: row.tag,
      references: target.references,
    },
    request,
    actor,
    source,
  }
}

/** The envelope of one event, as Go's encoder writes it: three spaces, and what HTML would misread escaped. */
export function envelopeOf(notification: object): string {
  const text = JSON.stringify({ events: [notification] }, null, 3)
  return text.replace(/[<>&\u2028\u2029]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
