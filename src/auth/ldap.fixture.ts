import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Attribute, Change, Client } from 'ldapts'
import { makePair } from '../../test/certificates.ts'
import { freePort } from '../../test/free-port.ts'
import { must, program } from '../../test/programs.ts'

export const SUFFIX = 'dc=example,dc=org'
export const PEOPLE = `ou=people,${SUFFIX}`
export const GROUPS = `ou=groups,${SUFFIX}`
/** May search, and read everything but passwords. */
export const READER = `cn=reader,${SUFFIX}`
/** It listens here too (LDAPS), and its certificate does not say so. */
export const UNNAMED_HOST = '127.0.0.2'
const ADMIN = `cn=admin,${SUFFIX}`
const ADMIN_PASSWORD = 'adminpw'

export interface Person {
  /** The value of `uid`, and of `employeeNumber` (which `READER` may ask for, and not read). */
  uid: string
  password: string
  mail?: string
  departments?: string[]
}

export interface Slapd {
  /** Ports of 127.0.0.1. */
  ldap: number
  ldaps: number
  /** PEM file of the authority that signed the server's certificate, for `localhost` and 127.0.0.1. */
  ca: string
  /** File with the password of `READER`. */
  passwordFile: string
  folder: string
  put(person: Person): Promise<void>
  putGroup(name: string, members: readonly string[]): Promise<void>
  remove(uid: string): Promise<void>
  setDepartments(uid: string, departments: string[]): Promise<void>
  stop(): Promise<void>
  /** On the same ports, with what it held. */
  start(): Promise<void>
  /** Stops, and removes its folder. */
  close(): Promise<void>
}

/** DN of a person. The names of tests have no character that a DN would escape. */
export function personDn(uid: string): string {
  return `uid=${uid},${PEOPLE}`
}

/** Runs Debian's slapd on free ports of 127.0.0.1, with all it has in a temporary folder. */
export async function startSlapd(): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-slapd-'))
  const { ca, certificate, key } = await makeAuthority(folder)
  const [ldap, ldaps] = [await freePort(), await freePort()]
  const passwordFile = join(folder, 'reader-password')
  const config = join(folder, 'slapd.conf')
  await mkdir(join(folder, 'db'))
  await writeFile(passwordFile, 'readerpw\n')
  await writeFile(config, configuration(folder, ca, certificate, key))

  let child: Bun.Subprocess | undefined
  async function start(): Promise<void> {
    const urls = `ldap://127.0.0.1:${ldap}/ ldaps://127.0.0.1:${ldaps}/ ldaps://${UNNAMED_HOST}:${ldaps}/`
    child = Bun.spawn([program('slapd', 'slapd'), '-d', '0', '-f', config, '-h', urls], {
      stdout: 'ignore',
      stderr: Bun.file(join(folder, 'log')),
    })
    const running = child
    for (let tries = 0; !(await answers(ldaps)); tries++) {
      if (tries === 2400 || running.exitCode !== null) {
        throw new Error(`slapd does not start: ${await Bun.file(join(folder, 'log')).text()}`)
      }
      await Bun.sleep(25)
    }
  }
  async function stop(): Promise<void> {
    child?.kill()
    await child?.exited
    child = undefined
  }
  async function asAdmin(work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client({ url: `ldap://127.0.0.1:${ldap}`, timeout: 60_000, connectTimeout: 60_000 })
    try {
      await client.bind(ADMIN, ADMIN_PASSWORD)
      await work(client)
    } finally {
      await client.unbind()
    }
  }
  async function remove(uid: string): Promise<void> {
    await asAdmin(async (client) => await client.del(personDn(uid)).catch(() => {}))
  }

  await start()
  await asAdmin(async (client) => {
    await client.add(SUFFIX, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' })
    for (const dn of [PEOPLE, GROUPS]) await client.add(dn, { objectClass: 'organizationalUnit', ou: dn.slice(3, 9) })
    const role = { objectClass: ['organizationalRole', 'simpleSecurityObject'], cn: 'reader' }
    await client.add(READER, { ...role, userPassword: 'readerpw' })
  })
  return {
    ...{ ldap, ldaps, ca, passwordFile, folder, remove, start, stop },
    async put({ uid, password, mail, departments }) {
      await remove(uid)
      await asAdmin(async (client) => {
        await client.add(personDn(uid), {
          ...{ objectClass: 'inetOrgPerson', uid, cn: uid, sn: uid, employeeNumber: uid, userPassword: ssha(password) },
          ...(mail === undefined ? {} : { mail }),
          ...(departments === undefined ? {} : { departmentNumber: departments }),
        })
      })
    },
    async putGroup(name, members) {
      await asAdmin(async (client) => {
        await client.add(`cn=${name},${GROUPS}`, { objectClass: 'groupOfNames', member: members.map(personDn) })
      })
    },
    async setDepartments(uid, departments) {
      const modification = new Attribute({ type: 'departmentNumber', values: departments })
      await asAdmin(async (client) => {
        await client.modify(personDn(uid), new Change({ operation: 'replace', modification }))
      })
    },
    async close() {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A server that takes connections and never says a word. */
export async function startSilence(): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => socket.on('error', () => {}))
  const port = await listen(server)
  return { port, close: () => server.close() }
}

/** Passes connections on to a port, until `forget`: those that are open then say nothing more, as behind a firewall. */
export async function startFirewall(target: number): Promise<{ port: number; forget(): void; close(): void }> {
  const open: [Socket, Socket][] = []
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
    open.push([near, far])
  })
  return {
    port: await listen(server),
    forget() {
      for (const [near, far] of open) {
        near.unpipe(far)
        far.unpipe(near)
      }
    },
    close() {
      server.close()
      for (const socket of open.flat()) socket.destroy()
    },
  }
}

/** On a free port of 127.0.0.1, which it gives back. */
export async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** RFC 2307's salted SHA-1, as directories keep passwords. */
function ssha(password: string): string {
  const salt = crypto.getRandomValues(new Uint8Array(8))
  const digest = new Bun.CryptoHasher('sha1').update(password).update(salt).digest()
  return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`
}

async function makeAuthority(folder: string): Promise<{ ca: string; certificate: string; key: string }> {
  const newKey = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const ca = await makePair(join(folder, 'ca'), { commonName: 'Test Authority', names: [], newKey })
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')]
  await must([
    ...[program('openssl'), 'req', '-x509', '-nodes', '-days', '365', '-newkey', ...newKey, '-subj', '/CN=localhost'],
    ...['-CA', ca.certificate, '-CAkey', ca.key, '-keyout', key, '-out', certificate],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'],
  ])
  return { ca: ca.certificate, certificate, key }
}

function configuration(folder: string, ca: string, certificate: string, key: string): string {
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${folder}/pid
argsfile ${folder}/args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
threads 4
TLSCACertificateFile ${ca}
TLSCertificateFile ${certificate}
TLSCertificateKeyFile ${key}
database mdb
suffix ${SUFFIX}
rootdn ${ADMIN}
rootpw ${ADMIN_PASSWORD}
directory ${folder}/db
maxsize 10485760
dbnosync
index uid,mail eq
access to attrs=userPassword by anonymous auth by * none
access to attrs=employeeNumber by dn.exact=${READER} search by * none
access to * by dn.exact=${READER} read by self read by users search by anonymous auth
overlay memberof
`
}
