import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { controlSocketOf, setPasswordOffline } from '../run.ts'
import { CommandError } from './error.ts'
import { configOf } from './load.ts'
import { readPassword } from './password-prompt.ts'

export function userCommand(): Command {
  const passwd = new Command('passwd')
    .description('give a user a new password, whether the server runs or not')
    .argument('<name>')
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file, which names the data directory")
    .action(async (name: string, flags: { data?: string; config?: string }) => {
      const { data } = configOf(flags.config, flags.data === undefined ? {} : { data: flags.data })
      if (!existsSync(join(data.metadata, 'berth.db'))) {
        throw new CommandError(`there is no registry in ${data.directory}; name its data directory with --data DIR`)
      }
      const password = await readPassword(`New password for ${name}: `)
      const answer = await overSocket(controlSocketOf(data), name, password)
      if (answer === undefined && !(await setPasswordOffline(data, name, password))) {
        throw new CommandError(`there is no user ${name}`)
      }
      process.stderr.write(`The password of ${name} is changed.\n`)
    })
  return new Command('user').description('manage users').addCommand(passwd)
}

/** Undefined when no server runs there. @throws CommandError with what the server says. */
async function overSocket(
  socket: { path: string; close: () => void },
  name: string,
  password: string,
): Promise<'changed' | undefined> {
  let response: Response
  try {
    response = await fetch(`http://berth/v1/users/${encodeURIComponent(name)}/password`, {
      method: 'PUT',
      body: JSON.stringify({ password }),
      unix: socket.path,
    })
  } catch {
    return undefined
  } finally {
    socket.close()
  }
  if (response.ok) return 'changed'
  throw new CommandError((await response.text()).trim())
}
