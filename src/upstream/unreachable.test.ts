import { expect, test } from 'bun:test'
import { unreachable } from './unreachable.ts'

const failed = (code: string) => Object.assign(new Error('words of the system.'), { code })

test.each<[string, string, Error, string, string, RegExp | undefined]>([
  ['nobody listens', 'https://host:5000/v2/', failed('ECONNREFUSED'), 'network', 'nobody listens there', /running/],
  ['no port was named', 'https://host/v2/', failed('ConnectionRefused'), 'network', 'nobody listens', /HOST:PORT.*443/],
  ['no such host', 'https://hots:5000/v2/', failed('ENOTFOUND'), 'network', 'no such host', /spelt/],
  ['no way there', 'https://10.1.2.3/v2/', failed('EHOSTUNREACH'), 'network', 'no way', /connected/],
  ['TLS to one without', 'https://host/v2/', failed('EPROTO'), 'network', 'does not speak TLS', /--plain-http$/],
  ['none to one with', 'http://host/v2/', failed('ConnectionClosed'), 'network', 'closed', /leave out --plain-http/],
  [
    'an unknown authority',
    'https://host:5000/v2/',
    failed('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    'tls',
    'its authority is not known here',
    /\/etc\/docker\/certs\.d\/host:5000\/ca\.crt, or add --ca-file FILE/,
  ],
  ['another name', 'https://h/v2/', failed('ERR_TLS_CERT_ALTNAME_INVALID'), 'tls', 'other names', /doctor h says/],
  ['too old', 'https://h/v2/', failed('CERT_HAS_EXPIRED'), 'tls', 'has expired', /renew/],
  ['too new', 'https://h/v2/', failed('CERT_NOT_YET_VALID'), 'tls', 'not valid yet', /clocks/],
  ['no answer', 'https://h/v2/', new DOMException('x', 'TimeoutError'), 'network', 'in time', /--timeout/],
  ['what is not known', 'https://h/v2/', failed('EWHAT'), 'network', 'words of the system', undefined],
])('%s: what it is, and what to do', (_, url, error, fault, words, hint) => {
  const said = unreachable(url, error)
  expect([said.fault, said.message]).toEqual([fault as never, expect.stringContaining(words)])
  if (hint === undefined) expect(said.hint).toBeUndefined()
  else expect(said.hint).toMatch(hint)
})
