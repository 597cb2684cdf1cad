import { CommandError } from './error.ts'

/**
 * systemd hands listening sockets over as open descriptors (sd_listen_fds(3)); the original serves on one of them in place of
 * `http.addr`. The runtime cannot listen on a descriptor, and another listener beside that socket would get no connection.
 * @throws CommandError when sockets were handed to this process
 */
export function refuseSocketActivation(env: Readonly<Record<string, string | undefined>>, pid: number): void {
  const count = Number(env.LISTEN_FDS ?? 0)
  if (Number(env.LISTEN_PID) !== pid || !(count > 0)) return
  const what = count === 1 ? 'a socket' : `${count} sockets`
  throw new CommandError(
    `systemd hands over ${what} (LISTEN_FDS=${count}), which Berth cannot listen on: ` +
      'disable the .socket unit, start the service by itself, and let http.addr say the address',
  )
}
