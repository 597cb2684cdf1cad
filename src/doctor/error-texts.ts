import type { FindingId } from './finding.ts'

/** A text that somebody searches for, and what it means. */
export interface ErrorText {
  /** As programs write it, first the one that is met most; `…` stands for what differs. */
  texts: readonly [string, ...string[]]
  /** Who says it, and where. */
  seen: string
  cause: string
  /** What to do, the best first. */
  remedy: readonly [string, ...string[]]
  /** What `berth doctor` calls it. */
  finds: readonly FindingId[]
}

const FILES = 'berth doctor --config config.yml --auth-config auth_config.yml'

/** Those of the set-up with docker_auth, openssl and htpasswd first: it is what people follow. */
export const ERROR_TEXTS: readonly ErrorText[] = [
  {
    texts: ['token signed by untrusted key with ID: …', 'error authorizing context: invalid token'],
    seen: 'the registry, in its log; clients see `unauthorized: authentication required`',
    cause:
      "The registry knows the keys of its rootcertbundle alone, and the token was signed by another one. Either the certificate of the token server is not in that file (a certificate that was made anew brings a new key), or the registry has read an older file (it reads it only when it starts), or the two name the same key differently: registry 2.x by libtrust's fingerprint (`ABCD:EFGH:…`), registry 3 by its RFC 7638 thumbprint.",
    remedy: [
      '`cat TOKEN_SERVER_CERTIFICATE >> ROOTCERTBUNDLE`, and restart the registry',
      'for registry 3: `token.disable_legacy_key_id: true` with docker_auth; with Berth `token.x5c: auto` suits both',
      `\`${FILES}\` shows both ids`,
    ],
    finds: ['untrusted-key', 'kid-generation', 'token-refused'],
  },
  {
    texts: [
      "x509: cannot validate certificate for … because it doesn't contain any IP SANs",
      'Does not contain any IP SANs',
      'tls: failed to verify certificate: x509: cannot validate certificate for …',
    ],
    seen: 'docker, podman and other programs in Go',
    cause:
      'Clients call the server by its address, and the certificate names no address: only subjectAltName counts, the Common Name is not looked at. A host name in /etc/hosts is not needed: a certificate can name addresses.',
    remedy: [
      '`berth serve --tls auto` makes a certificate with every name and address of the machine, and `berth cert trust` makes clients trust it',
      'openssl req -x509 -key server.key -days 365 -out server.pem -subj /CN=HOST -addext subjectAltName=DNS:HOST,IP:192.0.2.7',
    ],
    finds: ['certificate-names'],
  },
  {
    texts: ['insufficient_scope'],
    seen: 'the registry, in `WWW-Authenticate` beside a 401; docker says `denied: requested access to the resource is denied`',
    cause:
      'The token is good, and does not grant what the request needs: `pull` to read, `pull,push` to write, `delete` to delete, `registry:catalog:*` to list repositories. A token server grants less than it is asked for without an error, so it shows only here: the rules (`acl`) do not let this account do it, or the token was asked for with another scope.',
    remedy: [
      '`berth doctor HOST:PORT/REPOSITORY --user NAME --for push --config config.yml --auth-config auth_config.yml` names the rule',
      "`berth acl test NAME 'repository:REPOSITORY:pull,push' --data DIR` does, for Berth's own rules, on the server",
      'by hand: ask for `scope=repository:REPOSITORY:pull,push`, as the challenge of the 401 says it',
    ],
    finds: ['scope-insufficient', 'push-without-pull', 'catalog-denied'],
  },
  {
    texts: [
      'Error response from daemon: Get https://…/v2/: unauthorized: authentication required',
      'unauthorized: authentication required',
      'unauthorized: incorrect username or password',
    ],
    seen: 'docker login, push and pull',
    cause:
      'Nobody of that name and password is known; or its password is stored as something else than a bcrypt hash (`htpasswd` without -B), which registries pass over; or the token server cannot be reached under its realm and docker has no credentials for it.',
    remedy: [
      'berth login HOST:PORT',
      '`htpasswd -B FILE USER`, or `berth htpasswd add FILE USER`',
      'berth doctor HOST:PORT --user NAME',
    ],
    finds: ['credentials-refused', 'password-not-bcrypt'],
  },
  {
    texts: [
      'Error response from daemon: login attempt to https://…/v2/ failed with status: 401 Unauthorized',
      'failed with status: 401 Unauthorized',
    ],
    seen: 'docker login',
    cause:
      'The token server accepts the password, and the registry refuses the token that it made: untrusted key, another issuer or service than the registry expects, or clocks that differ by more than a minute.',
    remedy: [`\`${FILES}\` says which`, "the registry's log has the reason: `berth doctor explain 'TEXT OF THE LOG'`"],
    finds: ['token-refused', 'untrusted-key', 'issuer-mismatch', 'audience-mismatch', 'clock-skew'],
  },
  {
    texts: [
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"registry","Class":"","Name":"catalog","Action":"*"}]}]}',
      '"Name":"catalog","Action":"*"',
    ],
    seen: 'the registry, to `curl …/v2/_catalog`',
    cause:
      'To list repositories takes a token with `registry:catalog:*`. Without any token this is how a registry says where to get one; with one, the account may not list.',
    remedy: [
      '`berth catalog HOST:PORT` does the whole exchange',
      'docker_auth, at the beginning of `acl`: `- {match: {account: NAME, type: registry, name: catalog}, actions: ["*"]}`',
    ],
    finds: ['catalog-denied'],
  },
  {
    texts: [
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"…","Action":"…"}]}]}',
      '"Type":"repository","Class":"","Name":"…","Action":"…"',
    ],
    seen: 'the registry, to `curl …/v2/REPOSITORY/tags/list` and the like',
    cause:
      'The request needs a token for that repository and that action. Without any token this is how a registry says where to get one; with one, the token does not grant it.',
    remedy: [
      '`berth ls HOST:PORT/REPOSITORY`, `berth digest` and `berth delete` do the whole exchange',
      'berth doctor HOST:PORT/REPOSITORY --user NAME --for pull,push,delete',
    ],
    finds: ['scope-insufficient'],
  },
  {
    texts: ['remote error: tls: handshake failure', 'TLS handshake error', 'handshake error'],
    seen: "docker, or the registry's log (`http: TLS handshake error from …: remote error: tls: bad certificate`)",
    cause:
      'A client does not take the certificate of the server (`bad certificate`, `unknown certificate authority`), or the two have no version of TLS in common, or the server demands a certificate of the client.',
    remedy: [
      '`berth doctor HOST:PORT`, at the client that fails',
      'trust the authority (`berth cert trust`) rather than `insecure-registries`',
    ],
    finds: ['ca-untrusted', 'certificate-names', 'certificate-expired'],
  },
  {
    texts: ['http: server gave HTTP response to HTTPS client'],
    seen: 'docker',
    cause:
      'The registry has no TLS. Docker speaks plain HTTP to 127.0.0.0/8 and to the registries in `insecure-registries` alone; `localhost:5000` needs no such entry.',
    remedy: [
      'berth serve --tls auto',
      'or on each client, in /etc/docker/daemon.json: `{"insecure-registries": ["HOST:PORT"]}`, then `systemctl restart docker`',
    ],
    finds: ['insecure-registry-needed', 'insecure-registry-unneeded'],
  },
  {
    texts: [
      'x509: certificate signed by unknown authority',
      'unable to get local issuer certificate',
      'self-signed certificate in certificate chain',
    ],
    seen: 'docker and podman; curl and openssl',
    cause:
      'The client does not trust who signed the certificate. For docker the authority must be in a folder that is called exactly as the registry is in the names of images, port included, in a file that ends in `.crt`; the token server is trusted by the same folder.',
    remedy: [
      '`cp ca.crt /etc/docker/certs.d/HOST:PORT/ca.crt` (no restart is needed)',
      'berth cert trust HOST:PORT | ssh CLIENT sudo sh',
      'berth doctor HOST:PORT',
    ],
    finds: ['ca-untrusted'],
  },
  {
    texts: [
      'missing key … for client certificate … Note that CA certificates should use the extension .crt',
      'missing key … for client certificate',
    ],
    seen: 'docker',
    cause:
      'The folder of the registry below /etc/docker/certs.d has a `.cert`, which docker takes for the certificate of a client, whose `.key` is then missing.',
    remedy: ['mv /etc/docker/certs.d/HOST:PORT/ca.cert /etc/docker/certs.d/HOST:PORT/ca.crt'],
    finds: ['ca-untrusted'],
  },
  {
    texts: [
      'x509: certificate relies on legacy Common Name field, use SANs instead',
      'x509: certificate is valid for …, not …',
      'x509: certificate is not valid for any names, but wanted to match …',
    ],
    seen: 'docker, podman and other programs in Go',
    cause: 'The certificate does not name what the client calls the server; the Common Name is not looked at.',
    remedy: [
      'berth serve --tls auto --tls-name HOST',
      'openssl req -x509 -key server.key -days 365 -out server.pem -subj /CN=HOST -addext subjectAltName=DNS:HOST',
    ],
    finds: ['certificate-names'],
  },
  {
    texts: ['x509: certificate has expired or is not yet valid', 'certificate has expired'],
    seen: 'docker and podman; the registry, in its log, of the certificate in a token; curl',
    cause: 'The certificate is over or begins later, or the clock of whoever says so is wrong.',
    remedy: [
      '`berth cert renew`; Berth renews by itself what it made (`--tls auto`) or had signed by an ACME authority',
      'timedatectl set-ntp true',
    ],
    finds: ['certificate-expired', 'certificate-not-yet-valid', 'token-certificate-expired'],
  },
  {
    texts: ['token from untrusted issuer: …'],
    seen: 'the registry, in its log',
    cause: "The token server's `token.issuer` and the registry's `auth.token.issuer` differ; every letter counts.",
    remedy: [
      'config.yml: `auth.token.issuer` (`REGISTRY_AUTH_TOKEN_ISSUER`) as `token.issuer` in auth_config.yml',
      FILES,
    ],
    finds: ['issuer-mismatch'],
  },
  {
    texts: ['token intended for another audience: …', 'token intended for another audience'],
    seen: 'the registry, in its log',
    cause:
      "The token was asked for with another `service` than the registry's `auth.token.service`, or the token server makes all of them out to one name of its own.",
    remedy: ['ask for `service=NAME` as the challenge of the 401 says it', 'berth doctor HOST:PORT'],
    finds: ['audience-mismatch', 'service-mismatch'],
  },
  {
    texts: ['token not to be used before … - currently …', 'token not to be used after … - currently …'],
    seen: 'the registry, in its log',
    cause: 'The clocks of token server and registry differ by more than a minute, or a long push outlived its token.',
    remedy: ['`timedatectl set-ntp true` on both machines', 'auth_config.yml: `token.expiration: 900` or more'],
    finds: ['clock-skew'],
  },
  {
    texts: ['dial tcp …:5001: connect: connection refused', 'no such host'],
    seen: 'docker, while the registry itself answers',
    cause:
      'The registry sends clients to the token server under its realm, and that name or port does not lead there from the client: `localhost` in a realm is the client itself.',
    remedy: [
      'config.yml: `auth.token.realm: https://HOST:5001/auth` (`REGISTRY_AUTH_TOKEN_REALM`), with a name that all clients know',
      '`berth doctor HOST:PORT`, at the client',
    ],
    finds: ['realm-unreachable', 'realm-invalid'],
  },
  {
    texts: ['tls: private key does not match public key'],
    seen: 'registry or docker_auth, when it starts',
    cause: 'The key and the certificate of the configuration were not made together.',
    remedy: [
      `\`${FILES}\` says which pair`,
      '`openssl req -x509 -key server.key -days 365 -out server.pem` makes a certificate for the key',
    ],
    finds: ['key-mismatch'],
  },
  {
    texts: ['denied: requested access to the resource is denied'],
    seen: 'docker push and pull',
    cause:
      'Nobody is logged in to that registry, the name of the image lacks the registry (and docker asks its own hub), or the account may not do it.',
    remedy: [
      'docker tag IMAGE HOST:PORT/IMAGE',
      'berth login HOST:PORT',
      'berth doctor HOST:PORT/IMAGE --user NAME --for push',
    ],
    finds: ['scope-insufficient', 'push-without-pull'],
  },
  {
    texts: ['413 Request Entity Too Large', 'error parsing HTTP 413 response body'],
    seen: 'docker push, of large layers alone',
    cause: 'A proxy before the registry limits the size of a request; nginx to 1 MiB unless told.',
    remedy: ['nginx: `client_max_body_size 0;`', '`berth doctor HOST:PORT` finds the limit without sending a body'],
    finds: ['proxy-limits-body', 'proxy-buffers-body'],
  },
  {
    texts: ['blob upload unknown', 'http: server closed idle connection'],
    seen: 'docker push through a proxy',
    cause:
      'The registry takes its own name from what the proxy tells it, and sends the upload to another name, scheme or port than the client came by. Several registries behind one name must share http.secret and their storage, besides.',
    remedy: [
      'nginx: `proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;`',
      'config.yml: `http.host: https://HOST` (`REGISTRY_HTTP_HOST`), or `http.relativeurls: true`',
      'berth doctor HOST:PORT/REPOSITORY --user NAME',
    ],
    finds: ['proxy-rewrites-host'],
  },
  {
    texts: ['denied: the disk of the registry is nearly full'],
    seen: 'docker push, podman push',
    cause:
      'Less than `space.minfree` (256 MiB unless told) is free on the disk of the registry: it takes no pushes, so that deletions still can be.',
    remedy: [
      'berth gc run --now --data DIR',
      'config.yml: `space.minfree: 64MiB` (`REGISTRY_SPACE_MINFREE`)',
      'df -h DIR',
    ],
    finds: ['disk-full'],
  },
  {
    texts: ['denied: … is immutable by the rule …', 'is immutable by the rule'],
    seen: 'docker push, podman push; the client and commands of Berth',
    cause:
      'A rule of the registry makes that tag immutable: it stays at the image that was pushed first, and cannot be deleted. The same image may be pushed again.',
    remedy: [
      'another tag, which is free: `docker push HOST:PORT/REPOSITORY:OTHER`',
      'berth immutable test REPOSITORY:TAG --data DIR',
      'for administrators: `berth tag restore REPOSITORY:TAG --to DIGEST --force --data DIR` moves it, or `berth tag --force HOST:PORT/REPOSITORY@DIGEST TAG` from anywhere; `berth immutable rm RULE --data DIR` takes the rule away, unless it is one of config.yml (`immutable`)',
    ],
    finds: [],
  },
  {
    texts: [
      'denied: the quota of … is used up: …',
      'the quota of … is used up',
      'the quota of … takes no further uploads at the moment',
    ],
    seen: 'docker push, podman push',
    cause:
      'What lies below that prefix has the bytes, tags or repositories that its quota allows. What is in the trash does not count; uploads under way and blobs without a manifest have a room of their own, which is free again once they end.',
    remedy: [
      'berth quota show PREFIX --data DIR',
      '`berth delete --manifest HOST:PORT/REPOSITORY:TAG` (a tag that is deleted alone leaves its image, which counts for `gc.untagged`), or rules: `berth retention set`',
      'for administrators: `berth quota set PREFIX --bytes 100GiB --data DIR`, unless it is one of config.yml (`quotas`)',
    ],
    finds: [],
  },
  {
    texts: ['no space left on device'],
    seen: 'the registry, in its log; clients see `500 Internal Server Error`',
    cause: 'The disk is full, or out of inodes.',
    remedy: ['berth gc run --now --data DIR', 'df -h DIR; df -i DIR'],
    finds: ['disk-full'],
  },
  {
    texts: ['manifest unknown'],
    seen: 'docker pull',
    cause: 'There is no such tag, or it was deleted or collected.',
    remedy: [
      'berth ls HOST:PORT/REPOSITORY',
      '`berth trash list --data DIR`, on the server: what was deleted can be restored for a week',
    ],
    finds: ['image-missing'],
  },
  {
    texts: [
      '{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}',
      'The operation is unsupported.',
    ],
    seen: 'the registry, to a DELETE',
    cause: 'Deleting is turned off, or the registry is read-only.',
    remedy: ['config.yml: `storage.delete.enabled: true` (`REGISTRY_STORAGE_DELETE_ENABLED=true`)'],
    finds: [],
  },
  {
    texts: [
      'WARNING! Your password will be stored unencrypted in …',
      "WARNING! Your credentials are stored unencrypted in '…'.",
    ],
    seen: 'docker login',
    cause: 'Docker keeps the password in base64 where no credential helper is set up. It works.',
    remedy: [
      'with Berth a token that can be revoked is kept in its place: `berth token list --kind refresh`',
      '`credHelpers` or `credsStore` in ~/.docker/config.json',
    ],
    finds: [],
  },
  {
    texts: ['Error saving credentials: error storing credentials - err: exit status 1, out: …', 'pass not initialized'],
    seen: 'docker, at `docker login`, after the password was found right',
    cause:
      'docker takes the helper program that it finds (Debian brings docker-credential-pass and docker-credential-secretservice) to keep passwords, and that helper has never been set up. The registry is not at fault.',
    remedy: [
      'set the helper up: `gpg --quick-generate-key NAME`, then `pass init NAME`',
      'or let docker keep logins in its own file: `{"credsStore": ""}` in ~/.docker/config.json',
      '`berth login HOST:PORT` writes that file without a helper, and docker uses it',
    ],
    finds: [],
  },
  {
    texts: ['currently logged in, auth file contains an Identity token'],
    seen: 'podman, buildah and skopeo, at `login`',
    cause:
      'An earlier `docker login` or `berth login` stored a refresh token for this registry in ~/.docker/config.json, which podman reads too and does not replace by a password.',
    remedy: ['`berth logout HOST:PORT` (or `docker logout HOST:PORT`), then `podman login HOST:PORT` again'],
    finds: [],
  },
]
