import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../test/free-port.ts'
import { type DatabaseServer, endChild, quietly, stopProcess, until } from './server.fixture.ts'

/** What its password holds is what connection strings are split at. */
export const MARIADB_LOGIN = { user: 'berth', password: 'p@ss:w/ord?&=(x)', database: 'registry' } as const

const quoted = MARIADB_LOGIN.password.replaceAll("'", "''")
const SETUP = [
  `CREATE DATABASE IF NOT EXISTS ${MARIADB_LOGIN.database}`,
  `CREATE USER IF NOT EXISTS '${MARIADB_LOGIN.user}'@'%' IDENTIFIED BY '${quoted}'`,
  `GRANT ALL ON ${MARIADB_LOGIN.database}.* TO '${MARIADB_LOGIN.user}'@'%'`,
  `CREATE USER IF NOT EXISTS 'modern'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')`,
  `GRANT ALL ON ${MARIADB_LOGIN.database}.* TO 'modern'@'%'`,
  `CREATE USER IF NOT EXISTS 'reader'@'%' IDENTIFIED BY 'secret'`,
  `GRANT SELECT ON ${MARIADB_LOGIN.database}.* TO 'reader'@'%'`,
  `CREATE USER IF NOT EXISTS 'open'@'%'`,
  `GRANT ALL ON ${MARIADB_LOGIN.database}.* TO 'open'@'%'`,
]

/** Paths of the programs of the Debian package mariadb-server. */
export interface MariadbPrograms {
  mariadbd: string
  install: string
}

/** A MariaDB of its own in a temporary folder, on a free port of 127.0.0.1 and on a socket; it is ready when this resolves. */
export async function startMariadb(
  programs: MariadbPrograms,
  tls?: { certificate: string; key: string },
): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-mariadb-'))
  const data = join(folder, 'data')
  const socket = join(folder, 'm.sock')
  const port = await freePort()
  // The server refuses to be root unless it is told to.
  const user = process.getuid?.() === 0 ? ['--user=root'] : []
  const install = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db']
  await quietly([programs.install, ...install, ...user], {})
  const setup = join(folder, 'setup.sql')
  await writeFile(setup, `${SETUP.join(';\n')};\n`)
  const certificate = tls === undefined ? [] : [`--ssl-cert=${tls.certificate}`, `--ssl-key=${tls.key}`]
  const command = [
    programs.mariadbd,
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${socket}`,
    `--pid-file=${join(folder, 'm.pid')}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    '--innodb-buffer-pool-size=16M',
    // What was committed outlives the process, not the machine.
    '--innodb-flush-log-at-trx-commit=2',
    '--character-set-server=utf8mb4',
    '--plugin-load-add=auth_ed25519',
    `--init-file=${setup}`,
    ...certificate,
    ...user,
  ]
  let child: Bun.Subprocess | undefined

  async function start(): Promise<void> {
    const started = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(join(folder, 'log')) })
    child = started
    await until('MariaDB', join(folder, 'log'), started, async () => {
      const { user: username, password, database } = MARIADB_LOGIN
      const sql = new Bun.SQL({
        adapter: 'mysql',
        hostname: '127.0.0.1',
        port,
        username,
        password,
        database,
        max: 1,
        connectionTimeout: 2,
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
    socket,
    folder,
    start,
    async stop() {
      // A restart must find what was written, and takes no longer.
      await endChild(child, 'SIGKILL')
      child = undefined
    },
    async freeze() {
      if (child !== undefined) await stopProcess(child.pid)
    },
    async thaw() {
      child?.kill('SIGCONT')
    },
    async remove() {
      await endChild(child, 'SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
