import { Command } from 'commander'

/** `berth api openapi`: what Berth answers, for programs or for people; made of the routes. */
export function apiCommand(out: (text: string) => void = (text) => process.stdout.write(text)): Command {
  const command = new Command('api').description('describe the API that a server answers')
  command
    .command('openapi')
    .description('print the OpenAPI 3.1 document of the registry, the token server and the API of Berth')
    .option('--markdown', 'as a page to read, in place of the document')
    .action(async ({ markdown }: { markdown?: true }) => {
      const [{ describeApi }, { wholeDocument }] = await Promise.all([
        import('../http/api/routes.ts'),
        import('../http/reference/document.ts'),
      ])
      const document = wholeDocument(describeApi())
      if (markdown !== true) return out(`${JSON.stringify(document, undefined, 2)}\n`)
      const { apiMarkdown } = await import('../http/reference/markdown.ts')
      out(apiMarkdown(document))
    })
  return command
}
