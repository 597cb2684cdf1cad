import { Command } from 'commander'
import { startApp } from '../run.ts'
import { type ConfigFlags, configOf } from './load.ts'
import { untilSignal } from './signal.ts'
import { VERSION } from './version.ts'

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the registry, and the token server where it is configured or nothing else is')
    .argument(
      '[config.yml]',
      "configuration in registry:2's format; without one REGISTRY_* variables count, else built-in defaults",
    )
    .option('--addr <host:port>', 'address to listen on (default 127.0.0.1:5000)')
    .option('--data <dir>', 'data directory')
    .option('--auth-config <file>', "token server's configuration in docker_auth's format")
    .option('--compat <mode>', 'strict: refuse keys that are not known, instead of warning')
    .action(async (file: string | undefined, flags: ConfigFlags) => {
      const config = configOf(file ?? process.env.REGISTRY_CONFIGURATION_PATH, flags)
      const app = await startApp(config, { adminPassword: process.env.BERTH_ADMIN_PASSWORD })
      process.stderr.write(banner(app))
      await untilSignal()
      await app.stop()
    })
}

type App = Awaited<ReturnType<typeof startApp>>

/** What somebody who starts it for the first time needs next. */
function banner({ registry, tokens, data, admin, open }: App): string {
  const lines = [`Berth ${VERSION} listening on ${registry.url}`]
  if (tokens !== undefined) lines.push(`token server listening on ${tokens.url}/auth`)
  lines.push(`data in ${data}`)
  if (open) lines.push('WARNING: no authentication is configured: whoever reaches this address may push and delete')
  if (admin !== undefined && registry.port !== undefined) {
    const host = registry.url.replace(/^https?:\/\//, '')
    lines.push('')
    if (admin.password !== undefined) lines.push(`The user admin was made, with the password ${admin.password}`)
    if (admin.passwordFile !== undefined) {
      const file = shellWord(admin.passwordFile)
      lines.push(
        `Its password is in ${admin.passwordFile} until you change it: berth user passwd admin --data ${shellWord(data)}`,
      )
      lines.push('', `  docker login --username admin --password-stdin ${host} < ${file}`)
    } else {
      lines.push(`  docker login --username admin ${host}`)
    }
    lines.push(`  docker tag hello-world ${host}/hello-world`, `  docker push ${host}/hello-world`, '')
  }
  return `${lines.join('\n')}\n`
}

function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
