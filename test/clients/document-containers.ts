/** The commands of the first document, to the letter. */
export const RUN_TOKEN_SERVER = `docker run \\
    -d \\
    -v /home/auth_server/config:/config:ro \\
    -v /home/log/docker_auth:/logs \\
    -v /home/auth_server/ssl:/ssl \\
    -p 5001:5001 \\
    --restart=always \\
    --name docker_auth01 \\
    cesanta/docker_auth /config/auth_config.yml`

export const RUN_REGISTRY = `mkdir -p /home/docker_registy/data
docker run -d -p 5000:5000 \\
    -e REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/var/lib/registry \\
    -e REGISTRY_AUTH=token \\
    -e REGISTRY_AUTH_TOKEN_REALM=https://localhost:5001/auth \\
    -e REGISTRY_AUTH_TOKEN_SERVICE="Docker registry" \\
    -e REGISTRY_AUTH_TOKEN_ISSUER="Auth Service" \\
    -e REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/ssl/server.pem \\
    -e REGISTRY_STORAGE_DELETE_ENABLED=true   \\
    -v /home/auth_server/ssl:/ssl \\
    -v /home/docker_registry/data:/var/lib/registry \\
    --restart=always \\
    --name registry01 registry:latest`

/** And of the second, for htpasswd. */
export const MAKE_PASSWORDS = `rm -rf auth
mkdir -p auth
docker run --name tmp-gen-pw-file --entrypoint htpasswd registry:2 -Bbn testuser testpassword > auth/htpasswd
docker rm -v tmp-gen-pw-file`

export const RUN_HTPASSWD_REGISTRY = `docker run -d -p 5000:5000 \\
  --name registry \\
  --restart=always \\
  -v registry:/var/lib/registry \\
  -v \`pwd\`/certs:/certs \\
  -e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt \\
  -e REGISTRY_HTTP_TLS_KEY=/certs/domain.key \\
  -v \`pwd\`/auth:/auth \\
  -e REGISTRY_AUTH_HTPASSWD_PATH=/var/lib/registry/auth \\
  -e REGISTRY_AUTH=htpasswd \\
  -e REGISTRY_AUTH_HTPASSWD_REALM="Registry Realm" \\
  -e REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd \\
  registry:2`
