import { chmod, chown, copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../test/free-port.ts'
import { type DatabaseServer, endChild, quietly, stopProcess, until } from './server.fixture.ts'

/** What its password holds is what connection strings are split at. */
export const POSTGRES_LOGIN = { user: 'berth', password: "p@ss:w/o'r\\d ?&=", database: 'postgres' } as const

/** Paths of the programs of the Debian package postgresql-15; `setpriv` is in util-linux. */
export interface PostgresPrograms {
  initdb: string
  postgres: string
  setpriv: string | undefined
}

/** A PostgreSQL of its own in a temporary folder, on a free port of 127.0.0.1 and on a socket; it is ready when this resolves. */
export async function startPostgres(
  programs: PostgresPrograms,
  tls?: { certificate: string; key: string },
): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-postgres-'))
  const data = join(folder, 'data')
  const port = await freePort()
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, `${POSTGRES_LOGIN.password}\n`)
  // It refuses to be root. setpriv, for it becomes the server: its process id is the server's.
  const asUser = process.getuid?.() === 0 ? await demote(folder, programs.setpriv) : []
  const log = join(folder, 'log')
  await quietly(
    [
      ...[...asUser, programs.initdb, '-D', data, '-U', POSTGRES_LOGIN.user, '-E', 'UTF8', '--locale=C', '--no-sync'],
      ...['-A', 'scram-sha-256', `--pwfile=${passwordFile}`],
    ],
    { cwd: folder },
  )
  const certificate = tls === undefined ? [] : await certificateOptions(folder, tls)
  const command = [
    ...asUser,
    programs.postgres,
    ...['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', '-F'],
    // Nothing goes on beside the test: a vacuum would move rows when it likes.
    ...['-c', 'shared_buffers=16MB', '-c', 'max_connections=30', '-c', 'autovacuum=off', ...certificate],
  ]
  let child: Bun.Subprocess | undefined

  async function start(): Promise<void> {
    const options = { cwd: folder, stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(log) } as const
    const started = Bun.spawn(command, options)
    child = started
    await until('PostgreSQL', log, started, async () => {
      const { user: username, password, database } = POSTGRES_LOGIN
      const sql = new Bun.SQL({
        adapter: 'postgres',
        hostname: '127.0.0.1',
        port,
        username,
        password,
        database,
        max: 1,
        connectionTimeout: 2,
        tls: 'disable',
      })
      try {
        await sql`SELECT 1`
      } finally {
        await sql.close({ timeout: 0 })
      }
    })
  }

  await start()
  return {
    port,
    socket: folder,
    folder,
    start,
    async stop() {
      // At once, but orderly enough to leave no shared memory behind ("immediate shutdown").
      await endChild(child, 'SIGQUIT')
      child = undefined
    },
    async freeze() {
      for (const pid of await familyOf(child)) await stopProcess(pid)
    },
    async thaw() {
      for (const pid of await familyOf(child)) process.kill(pid, 'SIGCONT')
    },
    async remove() {
      await endChild(child, 'SIGQUIT')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function demote(folder: string, setpriv: string | undefined): Promise<string[]> {
  const { stdout } = Bun.spawnSync(['getent', 'passwd', 'postgres'])
  const [, , uid, gid] = stdout.toString().split(':')
  if (setpriv === undefined || uid === undefined || gid === undefined) {
    throw new Error('PostgreSQL does not run as root: it needs setpriv and the user postgres')
  }
  await chown(folder, Number(uid), Number(gid))
  await chmod(folder, 0o755)
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
}

/** It takes only a key that is its own. */
async function certificateOptions(folder: string, tls: { certificate: string; key: string }): Promise<string[]> {
  const { uid, gid } = await stat(folder)
  const own = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') }
  for (const name of ['certificate', 'key'] as const) {
    await copyFile(tls[name], own[name])
    await chmod(own[name], 0o600)
    await chown(own[name], uid, gid)
  }
  return ['-c', 'ssl=on', '-c', `ssl_cert_file=${own.certificate}`, '-c', `ssl_key_file=${own.key}`]
}

/** The server, and its children: each connection is served by one. */
async function familyOf(child: Bun.Subprocess | undefined): Promise<number[]> {
  if (child === undefined) return []
  const children = await Bun.file(`/proc/${child.pid}/task/${child.pid}/children`).text()
  return [
    child.pid,
    ...children
      .split(' ')
      .map(Number)
      .filter((pid) => pid > 1),
  ]
}
