import { RegistryError } from '../oci/error.ts'
import { errorResponse } from './errors.ts'
import type { Fetch } from './server.ts'
import { splitUrl } from './url.ts'

const WAIT = new RegistryError('UNAVAILABLE', {
  message: 'the registry is taking over the images that registry:2 left; it answers when that is done',
})

/**
 * Answers nothing of the registry yet (503, come again), so that nobody sees half of its images and pushes the rest once more.
 * What is not the registry's, probes among it, goes on to `fetch`.
 */
export function createWaitingRoom(fetch: Fetch, prefix: string): Fetch {
  return (request, connection) => {
    const { path } = splitUrl(request.url)
    const isRegistry = path === '/' || `${path}/`.startsWith(`${prefix}v2/`)
    return isRegistry ? errorResponse(WAIT) : fetch(request, connection)
  }
}
