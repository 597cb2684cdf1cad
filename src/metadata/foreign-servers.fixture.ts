import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { findProgram } from '../../test/programs.ts'
import type { MariadbPrograms } from './mariadb.fixture.ts'
import type { PostgresPrograms } from './postgres.fixture.ts'

/** Undefined where the package mariadb-server is not installed. */
export function findMariadb(): MariadbPrograms | undefined {
  const [mariadbd, install] = [findProgram('mariadbd'), findProgram('mariadb-install-db')]
  return mariadbd === undefined || install === undefined ? undefined : { mariadbd, install }
}

/** Undefined where no package postgresql-N is installed; Debian keeps its programs out of PATH. */
export function findPostgres(): PostgresPrograms | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  const [initdb] = [...new Glob('*/bin/initdb').scanSync(root)].sort().reverse()
  if (initdb === undefined) return undefined
  const postgres = join(root, initdb, '..', 'postgres')
  if (!existsSync(postgres)) return undefined
  return { initdb: join(root, initdb), postgres, setpriv: findProgram('setpriv') }
}
