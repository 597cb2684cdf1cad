/** RFC 6797, with docker_auth's value. */
export function withHsts(response: Response): Response {
  response.headers.set('Strict-Transport-Security', 'max-age=63072000; includeSubDomains')
  return response
}
