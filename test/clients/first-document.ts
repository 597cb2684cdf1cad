import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { type Berth, startBerth } from '../start-berth.ts'

/**
 * The set-up that this test suite follows from top to bottom: a team's own notes on how to run `registry` with
 * `cesanta/docker_auth` (certificate by openssl, passwords by htpasswd, three users, an ACL). Its commands and files are
 * kept as they were written; only `adapt` changes folders and ports.
 */
export const USERS = {
  admin: { password: 'admin-passwd', hash: '$2y$05$qm6djieFVAgtipS5YHn14ewQqqvtay5TxzQWuUT5PuNbzPsqbcktq' },
  user01: { password: 'user01-passwd', hash: '$2y$05$MJfq57DY1imzu1nIG1TzYu7re3hvunthNcjF.5M0r9lVRE6vzPLq.' },
  user02: { password: 'user02-passwd', hash: '$2y$05$R/78VMwYW351w5nSxu5YJeuDsBVkre1UK.Wnhc03kfA645d70TaMa' },
} as const

export const MAKE_CERTIFICATE = `
mkdir -p /home/auth_server/ssl
openssl req \\
    -x509 \\
    -nodes \\
    -days 365 \\
    -newkey rsa:2048 \\
    -keyout /home/auth_server/ssl/server.key \\
    -out    /home/auth_server/ssl/server.pem \\
    -subj /CN=localhost
`

const AUTH_CONFIG = `server:
        addr: ":5001"                   # ポート番号
        certificate: "/ssl/server.pem"  # 生成した証明書の相対パスを指定
        key: "/ssl/server.key"          # 生成した秘密鍵の相対パスを指定
token:
        issuer: "Auth Service"
        expiration: 900
users:
        "admin":        # Dockerプライベートレジストリにアクセスするユーザー「admin」
            password: "$2y$05$qm6djieFVAgtipS5YHn14ewQqqvtay5TxzQWuUT5PuNbzPsqbcktq"        # adminのパスワード
        "user01":       # Dockerプライベートレジストリにアクセスするユーザー「user01」
            password: "$2y$05$MJfq57DY1imzu1nIG1TzYu7re3hvunthNcjF.5M0r9lVRE6vzPLq."        # user01のパスワード
        "user02":       # Dockerプライベートレジストリにアクセスするユーザー「user02」
            password: "$2y$05$R/78VMwYW351w5nSxu5YJeuDsBVkre1UK.Wnhc03kfA645d70TaMa"        # user02のパスワード
acl:
        - match: {account: "admin"}
          actions: ["*"]        # adminは、DPRを使ったdocker pullとdocker pushが可能
        - match: {account: "user01"}
          actions: ["pull"]     # user01は、DPRを使ったdocker pullは可能だがdocker pushはできない
        - match: {account: "user02"}
          actions: [""]         # user02は、DPRを使ったdocker pullもdocker pushもできない
`

const ENVIRONMENT = {
  REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/var/lib/registry',
  REGISTRY_AUTH: 'token',
  REGISTRY_AUTH_TOKEN_REALM: 'https://localhost:5001/auth',
  REGISTRY_AUTH_TOKEN_SERVICE: 'Docker registry',
  REGISTRY_AUTH_TOKEN_ISSUER: 'Auth Service',
  REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: '/ssl/server.pem',
  REGISTRY_STORAGE_DELETE_ENABLED: 'true',
}

export interface Site {
  folder: string
  registryPort: number
  tokenPort: number
  /** The document's folders and ports become this run's. */
  adapt(text: string): string
  environment: Record<string, string>
  authConfig: string
  dispose(): void
}

/** Folder and ports of one run; nothing is started yet. */
export async function prepareSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-document-'))
  const registryPort = await freePort()
  const tokenPort = await freePort()
  const adapt = (text: string) =>
    text
      .replaceAll(/:5000\b/g, `:${registryPort}`)
      .replaceAll(/:5001\b/g, `:${tokenPort}`)
      .replaceAll('/home/auth_server', folder)
      .replaceAll(/(?<![\w/])\/ssl\//g, `${folder}/ssl/`)
      .replaceAll('/var/lib/registry', `${folder}/registry-data`)
  const adapted = Object.entries(ENVIRONMENT).map(([name, value]) => [name, adapt(value)] as const)
  return {
    folder,
    registryPort,
    tokenPort,
    adapt,
    environment: { ...Object.fromEntries(adapted), REGISTRY_HTTP_ADDR: `127.0.0.1:${registryPort}` },
    authConfig: adapt(AUTH_CONFIG),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** One process in place of both containers. */
export async function startTogether({ environment, authConfig }: Site): Promise<Berth[]> {
  return [await startBerth({ env: environment, authConfig, listeners: 2 })]
}

/** A process for each container, each with its own configuration alone. */
export async function startApart({ environment, authConfig }: Site): Promise<Berth[]> {
  const tokenServer = await startBerth({ verb: 'auth', authConfig })
  return [tokenServer, await startBerth({ env: environment })]
}

/**
 * A script of the document: a token for admin with `scope`, then curl with it on `api`. `options` are curl's own,
 * `after` follows the URL.
 */
export function scriptFor(scope: string, api: string, options: string, after = ''): string {
  return `
USERNAME="admin"
PASSWORD="admin-passwd"
HOST="localhost"
SCOPE="${scope}"
API="${api}"
TOKEN=\`curl -s -k \\
  -u \${USERNAME}:\${PASSWORD} \\
  -d "service=Docker registry"  \\
  -d "scope=\${SCOPE}"  \\
  -d "account=\${USERNAME}"  \\
  https://\${HOST}:5001/auth | jq '.token' -r \`
curl ${options} -H "Authorization: Bearer \${TOKEN}" http://\${HOST}:5000/\${API}${after}
`
}
