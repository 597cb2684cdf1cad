import { join, resolve } from 'node:path'
import { createApp, systemClock } from './app.ts'
import type { Config } from './config/config.ts'
import { type Address, shortSocketPath } from './http/listen.ts'
import { forgetPassword, openLog, PASSWORD_FILE } from './run-files.ts'

const SOCKET = 'berth.sock'

/** The socket of the server that owns a data directory. */
export function controlAddress(directory: string): Extract<Address, { kind: 'unix' }> {
  return { kind: 'unix', path: join(resolve(directory), SOCKET) }
}

/** The admin API of a data directory, with the rights of whoever may open that. */
export interface Control {
  /** Whether a server answers; otherwise this process owns the data directory until `close`. */
  isServer: boolean
  fetch(request: Request): Promise<Response>
  close(): Promise<void>
}

/**
 * The API of the server that owns the data directory where one runs, else the same API in this process.
 * @throws Error with a text for the user, when the directory is neither served nor free.
 */
export async function openControl(config: Config): Promise<Control> {
  const socket = shortSocketPath(controlAddress(config.data.directory).path)
  if (await answers(socket.path)) {
    return {
      isServer: true,
      fetch: (request) => fetch(request, { unix: socket.path }),
      close: async () => socket.close(),
    }
  }
  socket.close()
  const quiet = openLog({ ...config.log, level: 'error', mails: [] })
  const passwordFile = join(resolve(config.data.directory), PASSWORD_FILE)
  const onPassword = async (name: string) => forgetPassword(passwordFile, name)
  const app = await createApp(config, { ...systemClock, log: quiet.log, onPassword, background: false })
  return {
    isServer: false,
    fetch: app.control,
    async close() {
      await app.close()
      await quiet.close()
    },
  }
}

/** The answer of the server that owns a data directory; undefined: none runs. */
export async function askServer(directory: string, request: Request): Promise<Response | undefined> {
  const socket = shortSocketPath(controlAddress(directory).path)
  try {
    return (await answers(socket.path)) ? await fetch(request, { unix: socket.path }) : undefined
  } finally {
    socket.close()
  }
}

/** Whether a server that owns the data directory answers. */
export async function isServed(directory: string): Promise<boolean> {
  const socket = shortSocketPath(controlAddress(directory).path)
  try {
    return await answers(socket.path)
  } finally {
    socket.close()
  }
}

/** Whether somebody answers there. */
async function answers(path: string): Promise<boolean> {
  try {
    await fetch('http://berth/api/v1/openapi.json', { unix: path, method: 'HEAD' })
    return true
  } catch {
    return false
  }
}
