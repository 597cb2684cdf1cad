import type { X509Certificate } from 'node:crypto'
import { Command, Option } from 'commander'
import { type CertContext, type CertFlags, NO_AUTHORITY, ofProcess, serverOptions } from './cert-context.ts'
import { certTrustCommand } from './cert-trust.ts'
import { CommandError } from './error.ts'
import { formatTable } from './table.ts'

export function certCommand(context: CertContext = ofProcess): Command {
  const command = new Command('cert').description("the server's TLS certificate, and what makes clients trust it")

  serverOptions(command.command('show').description('show the certificate and its authority'))
    .addOption(new Option('--format <format>', 'table, or json').choices(['table', 'json']).default('table'))
    .action(async (flags: CertFlags & { format: 'table' | 'json' }) => {
      const { readCertificates } = await import('../run-cert.ts')
      const { server, authority } = await readCertificates(context.configOf(flags.config, flags))
      if (server === undefined) throw new CommandError('there is no certificate yet; berth serve --tls auto makes one')
      const shown = [
        { role: 'server', file: server.file, names: server.names, ...partsOf(server.certificate) },
        ...(authority === undefined
          ? []
          : [{ role: 'authority', file: authority.file, names: [], ...partsOf(authority.certificate) }]),
      ]
      context.out(
        flags.format === 'json'
          ? `${JSON.stringify({ certificates: shown }, undefined, 2)}\n`
          : shown.map(formatCertificate).join('\n'),
      )
    })

  serverOptions(
    command.command('ca').description("print the certificate of Berth's own authority, which clients trust"),
  ).action(async (flags: CertFlags) => {
    const { readCertificates } = await import('../run-cert.ts')
    const { authority } = await readCertificates(context.configOf(flags.config, flags))
    if (authority === undefined) throw new CommandError(NO_AUTHORITY)
    context.out(authority.certificate.toString())
  })

  serverOptions(command.command('renew').description('make the certificate anew; a server that runs uses it at once'))
    .option('--authority', 'a new authority as well, which every client must trust anew; the server must be stopped')
    .action(async (flags: CertFlags & { authority?: true }) => {
      const { renewCertificates } = await import('../run-cert.ts')
      const where = await renewCertificates(context.configOf(flags.config, flags), {
        authority: flags.authority === true,
      })
      context.error(
        where === 'server'
          ? 'The server uses a new certificate.\n'
          : 'There is a new certificate for the next start.\n',
      )
    })

  return command.addCommand(certTrustCommand(context))
}

function partsOf(certificate: X509Certificate) {
  return {
    subject: certificate.subject,
    issuer: certificate.issuer,
    from: certificate.validFromDate.toISOString(),
    until: certificate.validToDate.toISOString(),
    sha256: certificate.fingerprint256,
  }
}

function formatCertificate(
  shown: { role: string; file: string; names: string[] } & ReturnType<typeof partsOf>,
): string {
  return formatTable([
    [shown.role, shown.file],
    ...(shown.names.length === 0 ? [] : [['  for', shown.names.join(', ')]]),
    ['  subject', shown.subject.replaceAll('\n', ', ')],
    ['  issuer', shown.issuer.replaceAll('\n', ', ')],
    ['  valid', `${day(shown.from)} to ${day(shown.until)}`],
    ['  SHA-256', shown.sha256],
  ])
}

const day = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z')
