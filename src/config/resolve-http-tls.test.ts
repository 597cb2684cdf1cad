import { describe, expect, test } from 'bun:test'
import { lines, loadText } from './fixtures/load-text.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
const tlsOf = (http: string, flags = {}) => {
  const { config, problems } = loadText({ file: `${base}http: ${http}\n`, flags })
  expect(lines(problems)).toEqual([])
  return config?.http.tls
}
const problemsOf = (http: string, flags = {}) => {
  const { problems } = loadText({ file: `${base}http: ${http}\n`, flags })
  return lines(problems).map((line) => line.replace('config.yml:4: ', ''))
}
const own = (names: string[]) => ({
  certificate: '/d/berth-tls/server.pem',
  key: '/d/berth-tls/server.pem',
  minVersion: 'TLSv1.2' as const,
  managed: { kind: 'auto' as const, names },
})
const acme = (parts: object, file = '/d/berth-tls/acme/r.example') => ({
  certificate: file,
  key: file,
  minVersion: 'TLSv1.2' as const,
  managed: {
    kind: 'acme' as const,
    directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory',
    directoryCa: undefined,
    email: undefined,
    hosts: ['r.example'],
    httpAddr: { kind: 'tcp', hostname: '::', port: 80 },
    ...parts,
  },
})

describe("a certificate of Berth's own", () => {
  test.each<[string, string, object, string[]]>([
    ['by the file', '{tls: {auto: true}}', {}, []],
    ['by a flag', '{}', { tls: 'auto' }, []],
    [
      'for further names, in lower case and each once',
      '{tls: {auto: true, names: [Registry.Example, 192.0.2.1, "*.Team.Example", registry.example]}}',
      {},
      ['registry.example', '192.0.2.1', '*.team.example'],
    ],
    [
      'for names of the file and of flags',
      '{tls: {names: [a.example]}}',
      { tls: 'auto', tlsNames: ['b.example', '2001:DB8::1'] },
      ['a.example', 'b.example', '2001:db8::1'],
    ],
    [
      'for the host of the external URL, and the address that is listened on',
      '{host: "https://[2001:db8::5]:444", addr: "192.0.2.9:5000", tls: {auto: true}}',
      {},
      ['2001:db8::5', '192.0.2.9'],
    ],
    ['but not for every address', '{addr: ":5000", tls: {auto: true}}', {}, []],
  ])('%s', (_, http, flags, names) => {
    expect(tlsOf(http, flags)).toEqual(own(names))
  })

  test('client certificates may be demanded with it', () => {
    expect(tlsOf('{tls: {auto: true, clientcas: [a]}}')).toEqual({
      ...own([]),
      clients: { authorities: ['a'], mode: 'require' },
    })
  })

  test('variables reach it', () => {
    const { config } = loadText({
      file: base,
      env: {
        REGISTRY_HTTP_TLS_AUTO: 'true',
        REGISTRY_HTTP_TLS_NAMES: '[r.example]',
        REGISTRY_HTTP_TLS_NAMES_1: 's.example',
      },
    })
    expect(config?.http.tls).toEqual(own(['r.example', 's.example']))
  })

  test.each<[string, string, object, string[]]>([
    [
      'beside files',
      '{tls: {certificate: c, key: k}}',
      { tls: 'auto' },
      ["--tls: http.tls.auto: asks for a certificate of Berth's own, and http.tls.certificate for another"],
    ],
    [
      'beside ACME',
      '{tls: {auto: true, letsencrypt: {hosts: [r.example]}}}',
      {},
      ["http.tls.auto: asks for a certificate of Berth's own, and http.tls.letsencrypt for another"],
    ],
    [
      'names without it',
      '{tls: {names: [r.example]}}',
      {},
      ['http.tls.names: names a certificate that nobody asks for'],
    ],
    [
      'names that are none',
      '{tls: {auto: true, names: ["https://r.example", "r.example:5000", "a.*.b", "r.example."]}}',
      {},
      ['https://r.example', 'r.example:5000', 'a.*.b', 'r.example.'].map(
        (name, index) => `http.tls.names[${index}]: ${JSON.stringify(name)} is no host name or IP address`,
      ),
    ],
  ])('is refused: %s', (_, http, flags, expected) => {
    expect(problemsOf(http, flags)).toEqual(expected)
  })
})

describe('a certificate by ACME', () => {
  test.each<[string, string, object]>([
    ["Let's Encrypt, unless told otherwise", '{tls: {letsencrypt: {hosts: [R.example]}}}', acme({})],
    [
      'a folder, mail, another authority, another port, several hosts each once',
      '{tls: {letsencrypt: {cachefile: /c, email: a@r.example, hosts: [r.example, s.example, r.example], directoryurl: "https://ca/dir", directoryca: /ca.pem, httpaddr: "127.0.0.1:8080"}}}',
      acme(
        {
          directoryUrl: 'https://ca/dir',
          directoryCa: '/ca.pem',
          email: 'a@r.example',
          hosts: ['r.example', 's.example'],
          httpAddr: { kind: 'tcp', hostname: '127.0.0.1', port: 8080 },
        },
        '/c/r.example',
      ),
    ],
    [
      'the host of the external URL, where none is named',
      '{host: "https://r.example:5000", tls: {letsencrypt: {email: a@b.example}}}',
      acme({ email: 'a@b.example' }),
    ],
    [
      'TLS 1.3 alone',
      '{tls: {minimumtls: tls1.3, letsencrypt: {hosts: [r.example]}}}',
      { ...acme({}), minVersion: 'TLSv1.3' },
    ],
  ])('%s', (_, http, expected) => {
    expect(tlsOf(http)).toEqual(expected as never)
  })

  test('an empty section asks for nothing', () => {
    expect(tlsOf('{tls: {letsencrypt: {email: "", hosts: []}}}')).toBeUndefined()
  })

  test.each<[string, string, string[]]>([
    [
      'beside files',
      '{tls: {certificate: c, key: k, letsencrypt: {hosts: [r.example]}}}',
      ["http.tls.letsencrypt: cannot specify both certificate and Let's Encrypt"],
    ],
    [
      'no host',
      '{tls: {letsencrypt: {email: a@b.example}}}',
      ['http.tls.letsencrypt.hosts: names no host, and neither does http.host'],
    ],
    [
      'hosts that HTTP-01 cannot prove',
      '{tls: {letsencrypt: {hosts: ["*.r.example", 192.0.2.1, "a b"]}}}',
      [
        'http.tls.letsencrypt.hosts[0]: "*.r.example" has a star, which needs a challenge by DNS; HTTP-01 is what Berth does',
        'http.tls.letsencrypt.hosts[1]: "192.0.2.1" is no host name',
        'http.tls.letsencrypt.hosts[2]: "a b" is no host name',
      ],
    ],
    [
      'everything else',
      '{tls: {letsencrypt: {hosts: [r.example], directoryurl: "http://ca", email: me, httpaddr: x}}}',
      [
        'http.tls.letsencrypt.directoryurl: is no https URL',
        'http.tls.letsencrypt.email: "me" is no address of mail',
        'http.tls.letsencrypt.httpaddr: "x" is not HOST:PORT',
      ],
    ],
  ])('is refused: %s', (_, http, expected) => {
    expect(problemsOf(http)).toEqual(expected)
  })
})
