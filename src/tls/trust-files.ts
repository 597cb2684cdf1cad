import { X509Certificate } from 'node:crypto'

/** What makes the programs of a client machine trust an authority. */

export const TRUST_TARGETS = ['docker', 'podman', 'containerd', 'system'] as const
export type TrustTarget = (typeof TRUST_TARGETS)[number]

export interface TrustFile {
  path: string
  content: string
  /** Whether somebody else may have written other things there, which must not be replaced. */
  isSettings: boolean
}

export interface TrustInput {
  /** PEM of the authority. */
  pem: string
  /** `HOST` or `HOST:PORT`, as the registry is called in the names of images. */
  hosts: readonly string[]
}

/** Folders of the system's store, each with what makes the system read it, by the distributions that have it. */
export const SYSTEM_STORES = [
  {
    systems: 'Debian, Ubuntu, Alpine',
    directory: '/usr/local/share/ca-certificates',
    command: 'update-ca-certificates',
  },
  {
    systems: 'RHEL, Fedora, CentOS, Rocky, Alma',
    directory: '/etc/pki/ca-trust/source/anchors',
    command: 'update-ca-trust',
  },
] as const

/** Of its own for each authority, for a machine may trust several. */
export function systemFile(directory: string, pem: string): TrustFile {
  const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()
  return { path: `${directory}/berth-${fingerprint.slice(0, 12)}.crt`, content: pem, isSettings: false }
}

/** Files for one program; those of the system's store are in `SYSTEM_STORES`. */
export function trustFiles(target: Exclude<TrustTarget, 'system'>, { pem, hosts }: TrustInput): TrustFile[] {
  return hosts.flatMap((host) => {
    const folder = `${FOLDERS[target]}/${host}`
    const authority = { path: `${folder}/ca.crt`, content: pem, isSettings: false }
    if (target !== 'containerd') return [authority]
    const settings = { path: `${folder}/hosts.toml`, content: hostsToml(host, authority.path), isSettings: true }
    return [authority, settings]
  })
}

const FOLDERS = {
  docker: '/etc/docker/certs.d',
  podman: '/etc/containers/certs.d',
  containerd: '/etc/containerd/certs.d',
} as const

/** containerd's docs/hosts.md. */
function hostsToml(host: string, authority: string): string {
  return [
    `server = "https://${host}"`,
    '',
    `[host."https://${host}"]`,
    '  capabilities = ["pull", "resolve", "push"]',
    `  ca = "${authority}"`,
    '',
  ].join('\n')
}

/** What must be so besides for the files to count. */
export const TRUST_NOTES: Record<TrustTarget, string> = {
  docker: 'dockerd reads them at the next request; no restart is needed',
  podman: 'podman, skopeo, buildah and CRI-O read them at the next request',
  containerd:
    'containerd reads them where its config.toml says config_path = "/etc/containerd/certs.d" (nerdctl and ctr --hosts-dir read them too)',
  system: 'curl, git and most other programs; those that run already (dockerd, containerd) must be started again',
}

/** The form of a registry in the name of a folder: port 443 is not said. */
export function trustHost(name: string, port: number | undefined): string {
  const host = name.includes(':') ? `[${name}]` : name
  return port === undefined || port === 443 ? host : `${host}:${port}`
}
