import { Command, Option } from 'commander'
import { startApp } from '../run.ts'
import { createAdoptionBar } from './adopt.ts'
import { banner } from './banner.ts'
import { choosePath } from './config-path.ts'
import { type ConfigFlags, configOf, sourceOf } from './load.ts'
import { takePassword } from './password-prompt.ts'
import { listenToSignals } from './signal.ts'
import { refuseSocketActivation } from './socket-activation.ts'
import { isTerminal, say } from './standard-streams.ts'
import { collect } from './values.ts'

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the registry, and the token server where it is configured or nothing else is')
    .argument(
      '[config.yml]',
      "configuration in registry:2's format; without one REGISTRY_* variables count, else built-in defaults",
    )
    .option('--addr <host:port>', 'address to listen on (default 127.0.0.1:5000)')
    .option('--data <dir>', 'data directory (default ./berth-data; with a configuration, what that says)')
    .option('--auth-config <file>', "token server's configuration in docker_auth's format")
    .addOption(
      new Option('--tls <mode>', "HTTPS with a certificate of Berth's own authority (berth cert)").choices(['auto']),
    )
    .option('--tls-name <name>', 'a further name or address for that certificate; may be repeated', collect)
    .addOption(new Option('--compat <mode>', 'refuse unknown keys instead of warning').choices(['strict']))
    .action(serve)
}

/** Serves until a signal ends it. @throws Error with a text for the user when it cannot. */
export async function serve(file: string | undefined, flags: ConfigFlags): Promise<void> {
  refuseSocketActivation(process.env, process.pid)
  const { path, note } = choosePath(file, process.env)
  if (note !== undefined) say(`warning: ${note}\n`)
  const adminPassword = takePassword()
  const config = configOf(path, flags)
  // Before anything listens: whoever sees the server answer may stop it.
  const signals = listenToSignals()
  const terminal = isTerminal()
  const bar = terminal ? createAdoptionBar() : undefined
  const app = await startApp(config, {
    adminPassword,
    source: sourceOf(path, flags),
    onProgress: bar && ((progress) => (progress === undefined ? bar.clear() : bar.show(progress))),
    signal: signals.ended,
  }).catch((error: unknown) => {
    if (signals.ended.aborted) return undefined
    throw error
  })
  // What was stopped while it adopted images goes on at the next start.
  if (app === undefined) return
  const command = process.env.BERTH_COMMAND ?? 'berth'
  say(banner(app, { command, terminal }))
  await signals.untilEnd(app.reload)
  await app.stop()
}
