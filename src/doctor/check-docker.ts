import { covers, leadsTo } from './certificate.ts'
import type { ClientFacts } from './client-facts.ts'
import { type Finding, fault, fine, warning } from './finding.ts'

/** Whether docker's own settings fit the registry: `insecure-registries` where it must be there, and only there. */
export function checkDocker(facts: ClientFacts): Finding[] {
  const { docker, registry, probe, view } = facts
  const { settingsFile, insecure } = docker
  if (typeof insecure === 'string') {
    const message = `${settingsFile} cannot be used, so that dockerd does not start with it: ${insecure}`
    return [
      fault(
        'docker-settings-invalid',
        settingsFile,
        message,
        `${settingsFile}: write a JSON object, such as {"insecure-registries": ["${registry}"]}, or remove the file`,
      ),
    ]
  }
  if (probe.kind === 'plain' && view.kind === 'secure') {
    const list = [...insecure.map(({ value }) => value), registry]
    const message = `${registry} has no TLS, and docker demands it of every registry that is not on its own machine: \`http: server gave HTTP response to HTTPS client\``
    return [
      fault(
        'insecure-registry-needed',
        registry,
        message,
        `give the registry TLS, on the server: berth serve --tls auto`,
        `or, where nobody can listen on the way, on each client ${settingsFile}: "insecure-registries": ${JSON.stringify(list)}; then: systemctl restart docker`,
      ),
    ]
  }
  if (view.kind === 'listed' && isUnneeded(facts)) {
    const place = `${settingsFile}:${view.line}`
    const why = probe.kind === 'tls' ? 'has TLS that docker trusts' : 'is on this machine, where docker needs no TLS'
    const message = `insecure-registries has ${view.value}, but ${registry} ${why}: the entry only takes protection away`
    const left = insecure.map(({ value }) => value).filter((value) => value !== view.value)
    return [
      warning(
        'insecure-registry-unneeded',
        place,
        message,
        `${place}: "insecure-registries": ${JSON.stringify(left)}; then: systemctl restart docker`,
      ),
    ]
  }
  if (probe.kind === 'unreachable') return []
  const why = {
    secure: 'is spoken to over TLS alone',
    loopback: 'is on this machine: docker needs neither TLS nor insecure-registries for it',
    listed: `is in insecure-registries (${settingsFile}), which it needs as it is`,
  }
  return [fine('docker', registry, why[view.kind])]
}

function isUnneeded({ probe, docker, hostname, isLocal }: ClientFacts): boolean {
  if (probe.kind === 'plain') return isLocal
  if (probe.kind !== 'tls') return false
  const [leaf, ...others] = probe.chain
  return leaf !== undefined && covers(leaf, hostname) && leadsTo(leaf, others, [...docker.authorities, ...docker.roots])
}
