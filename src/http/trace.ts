import type { Span, Tracer } from '../telemetry/trace.ts'
import type { Resource } from './routes.ts'
import type { Trail } from './trail.ts'

/** OCI Distribution Specification 1.1, "Endpoints". */
const TEMPLATES: Record<Resource, string> = {
  base: '/v2/',
  catalog: '/v2/_catalog',
  tags: '/v2/{name}/tags/list',
  manifest: '/v2/{name}/manifests/{reference}',
  blob: '/v2/{name}/blobs/{digest}',
  uploads: '/v2/{name}/blobs/uploads/',
  upload: '/v2/{name}/blobs/uploads/{uuid}',
  referrers: '/v2/{name}/referrers/{digest}',
  'catalog-overview': '/v2/_berth/catalog/list',
  'tags-overview': '/v2/{name}/_berth/tags/list',
  trash: '/v2/{name}/_berth/trash/{digest}',
}

/** Serves a request as a span `METHOD template` (OpenTelemetry, "Semantic Conventions for HTTP Spans"). */
export function traced(
  tracer: Tracer,
  trail: Trail,
  { path, prefix, secure, resource }: { path: string; prefix: string; secure: boolean; resource: Resource | undefined },
  work: () => Response | Promise<Response>,
): Response | Promise<Response> {
  const { request } = trail
  const { method, headers } = request
  const route = resource === undefined ? undefined : `${prefix.slice(0, -1)}${TEMPLATES[resource]}`
  const attributes = {
    'http.request.method': method,
    'url.path': path,
    'url.scheme': secure ? 'https' : 'http',
    'user_agent.original': headers.get('user-agent') ?? '',
    ...(route === undefined ? {} : { 'http.route': route }),
  }
  const name = route === undefined ? method : `${method} ${route}`

  const done = (response: Response, span: Span): Response => {
    const { status } = response
    span.end({ 'http.response.status_code': status }, status >= 500 ? `status ${status}` : undefined)
    return response
  }
  return tracer.serve(
    name,
    (header) => headers.get(header),
    attributes,
    (span) => {
      trail.traceId = span.traceId
      const response = work()
      return response instanceof Promise ? response.then((answer) => done(answer, span)) : done(response, span)
    },
  )
}
