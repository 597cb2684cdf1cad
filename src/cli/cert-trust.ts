import { isIP } from 'node:net'
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import type { TrustFile, TrustTarget } from '../run-cert.ts'
import { type CertContext, type CertFlags, NO_AUTHORITY, readPem, serverOptions } from './cert-context.ts'
import { CommandError } from './error.ts'
import { collect } from './values.ts'

interface TrustFlags extends CertFlags {
  for?: string[]
  install?: true
  root?: string
  ca?: string
  from?: string
  fingerprint?: string
}

/** A server that listens there is reached by every name. */
const EVERY = /^(?:0\.0\.0\.0|::)$/
/** Names of 127.0.0.0/8 and ::1 mean another machine everywhere else. */
const LOCAL = /^(localhost|127\..*|::1)$/

export function certTrustCommand(context: CertContext): Command {
  const command = new Command('trust')
    .description('print, as a shell script, the files that make clients trust the authority; or write them')
    .argument('[host:port...]', 'what images are called by; every name of the certificate where none is given')
    .option(
      '--for <program>',
      'docker, podman (with skopeo, buildah, CRI-O), containerd, system; may be repeated',
      collect,
    )
    .option('--install', 'write the files on this machine (those of --for)')
    .option('--root <dir>', 'write them below another folder, such as that of an image', '/')
    .option('--ca <file>', "an authority's certificate in place of Berth's own")
    .option('--from <url>', 'fetch the authority from a server (https://HOST:PORT); needs --fingerprint')
    .option('--fingerprint <sha256>', 'what berth cert show says at that server')
  return serverOptions(command).action(async (hosts: string[], flags: TrustFlags) => {
    const parts = await import('../run-cert.ts')
    const targets = targetsOf(flags.for ?? [], parts.TRUST_TARGETS)
    const { pem, known } = await authorityOf(context, hosts, flags)
    const input = { pem, hosts: known }
    if (flags.install !== true) {
      // Not the system's store: whoever trusts there trusts for every name.
      const wanted = targets.length === 0 ? parts.TRUST_TARGETS.filter((target) => target !== 'system') : targets
      context.out(script(wanted, (target) => parts.trustFiles(target, input), pem, parts))
      return
    }
    if (targets.length === 0) {
      throw new CommandError('say what to install: --for docker, --for podman, --for containerd, --for system')
    }
    let kept = false
    for (const target of targets) {
      const root = flags.root ?? '/'
      for (const { path, outcome } of parts.installTrust(filesOf(target, root), root)) {
        context.error(`${OUTCOMES[outcome]} ${path}\n`)
        if (outcome === 'kept') {
          kept = true
          const [wanted] = filesOf(target, root).filter((file) => file.isSettings && path.endsWith(file.path))
          context.error(`  it holds other settings; add what is missing of:\n${indented(wanted?.content ?? '')}`)
        }
      }
      const note = target === 'system' ? `now run: ${storeOf(root).command}` : parts.TRUST_NOTES[target]
      context.error(`  ${note}\n`)
    }
    if (kept) throw new CommandError('a file was left as it is')

    function filesOf(target: TrustTarget, root: string): TrustFile[] {
      return target === 'system' ? [parts.systemFile(storeOf(root).directory, pem)] : parts.trustFiles(target, input)
    }
    function storeOf(root: string) {
      const store = parts.systemStore(root)
      if (store !== undefined) return store
      const folders = parts.SYSTEM_STORES.map(({ directory }) => directory).join(' nor ')
      throw new CommandError(`there is no store of the system that is known below ${root}: neither ${folders}`)
    }
  })
}

const OUTCOMES = {
  written: 'wrote',
  same: 'is there already:',
  replaced: 'replaced (the old one is beside it, .old)',
  kept: 'LEFT AS IT IS:',
}

function targetsOf(names: readonly string[], known: readonly TrustTarget[]): TrustTarget[] {
  const words = names.flatMap((name) => name.split(',')).map((name) => name.trim())
  return words.map((word) => {
    const target = known.find((one) => one === word)
    if (target === undefined) throw new CommandError(`${JSON.stringify(word)} is none of ${known.join(', ')}`)
    return target
  })
}

/** The authority, and what the registry is called by. */
async function authorityOf(
  context: CertContext,
  hosts: readonly string[],
  flags: TrustFlags,
): Promise<{ pem: string; known: string[] }> {
  const { fetchAuthority, onlyCertificates, readCertificates, trustHost } = await import('../run-cert.ts')
  for (const host of hosts) checkHost(host)
  if (flags.from !== undefined) {
    if (flags.fingerprint === undefined) {
      throw new CommandError(
        '--from needs --fingerprint: without it somebody in between could give you his own authority',
      )
    }
    const server = URL.canParse(flags.from) ? new URL(flags.from) : undefined
    if (server?.protocol !== 'https:')
      throw new CommandError('--from takes a URL such as https://registry.example:5000')
    const pem = await fetchAuthority(new URL('/berth-ca.pem', server).href, flags.fingerprint)
    return { pem, known: hosts.length > 0 ? [...hosts] : [server.host] }
  }
  if (flags.ca !== undefined) {
    if (hosts.length === 0) throw new CommandError('name the registry as images do: HOST:PORT')
    return { pem: onlyCertificates(readPem(flags.ca), flags.ca), known: [...hosts] }
  }
  const config = context.configOf(flags.config, flags)
  const { authority, server } = await readCertificates(config)
  if (authority === undefined) throw new CommandError(NO_AUTHORITY)
  const { listen } = config.http
  const port = listen.kind === 'tcp' ? listen.port : undefined
  const names = namesOf(server?.names ?? [], config.http)
  const known = hosts.length > 0 ? [...hosts] : names.map((name) => trustHost(name, port))
  if (known.length === 0) throw new CommandError('the certificate has no name that other machines know: name HOST:PORT')
  if (hosts.length === 0) {
    context.error(
      `For ${known.join(', ')}, as the configuration says; name HOST:PORT if images are called otherwise.\n`,
    )
  }
  return { pem: authority.certificate.toString(), known }
}

/**
 * What clients may call the server, of the names of its certificate: other machines where it listens on every address, programs of
 * this machine where it listens there alone. What the operator named himself is reached in a way that he knows.
 */
function namesOf(certified: readonly string[], { listen, host, tls }: Config['http']): string[] {
  const names = certified.filter((name) => !name.startsWith('*.'))
  const bound = listen.kind === 'tcp' && !EVERY.test(listen.hostname) ? listen.hostname : undefined
  if (bound === undefined) return names.filter((name) => !LOCAL.test(name))
  const named = tls?.managed?.kind === 'auto' ? [...tls.managed.names] : []
  if (host !== undefined) named.push(new URL(host).hostname.replace(/^\[|\]$/g, ''))
  return names.filter((name) => {
    if (named.includes(name) || name === bound) return true
    return LOCAL.test(bound) ? name === 'localhost' : isIP(name) === 0 && !LOCAL.test(name)
  })
}

/** `HOST`, `HOST:PORT`, `[IPV6]:PORT`: it becomes the name of a folder. */
function checkHost(host: string): void {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9_][A-Za-z0-9._-]*))(?::(\d{1,5}))?$/.exec(host)
  const isGood = match !== null && (match[1] === undefined || isIP(match[1]) === 6) && Number(match[3] ?? 1) <= 65_535
  if (!isGood) throw new CommandError(`${JSON.stringify(host)} is no HOST or HOST:PORT`)
}

function script(
  targets: readonly TrustTarget[],
  filesOf: (target: Exclude<TrustTarget, 'system'>) => TrustFile[],
  pem: string,
  parts: typeof import('../run-cert.ts'),
): string {
  const blocks = targets.map((target) => {
    const head = `# ${target}: ${parts.TRUST_NOTES[target]}\n`
    if (target !== 'system') return head + filesOf(target).map(writing).join('')
    const stores = parts.SYSTEM_STORES.map(({ systems, directory, command }) => {
      const file = parts.systemFile(directory, pem)
      return `# ${systems}\nif command -v ${command} >/dev/null; then\n  ${writing(file)}  ${command}\nfi\n`
    })
    return head + stores.join('')
  })
  const trust = `trust() { mkdir -p "\${1%/*}"; printf '%s\\n' "$authority" > "$1"; }`
  return `#!/bin/sh\n# Run as root on a client.\nset -eu\nauthority='${pem.trim()}'\n${trust}\n\n${blocks.join('\n')}`
}

/** Each line puts the authority at a path; settings are written only where there are none. */
function writing({ path, content, isSettings }: TrustFile): string {
  return isSettings ? `[ -e '${path}' ] || cat > '${path}' <<'END'\n${content}END\n` : `trust '${path}'\n`
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '    ')
}
