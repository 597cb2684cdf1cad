# Berth's image, in the place of registry:2, registry:3 and cesanta/docker_auth: docs/install.md.
#   npm run build -- linux-x64 && docker build -t berth .
#   npm run build -- linux-arm64 && docker build -t berth --platform linux/arm64 --build-arg EXECUTABLE=dist/berth-linux-arm64 .
# The base has a shell, coreutils and setpriv over glibc, as every Debian has, and the certificates of public authorities where it can.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

ARG EXECUTABLE=dist/berth-linux-x64
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG BASE=debian:bookworm-slim
LABEL org.opencontainers.image.title="berth" \
      org.opencontainers.image.description="A private container registry with its own token server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"

# The account without privileges that a server becomes. The data directory is its own, and of group 0 for users that are only
# numbers (--user 1000 has that group). Version 3 of registry has its file at the second place: one mounted at either is at both.
RUN echo 'berth:x:65532:65532:berth:/var/lib/registry:/sbin/nologin' >>/etc/passwd \
 && echo 'berth:x:65532:' >>/etc/group \
 && mkdir -p /etc/docker/registry /var/lib/registry /config /docker_auth \
 && ln -s docker/registry /etc/distribution \
 && chown 65532:0 /var/lib/registry && chmod 770 /var/lib/registry

COPY deploy/image/config.yml /etc/docker/registry/config.yml
COPY deploy/image/registry deploy/image/htpasswd /usr/local/bin/
COPY deploy/image/auth_server /docker_auth/auth_server
COPY deploy/image/entrypoint.sh /entrypoint.sh
COPY ${EXECUTABLE} /usr/local/bin/berth
# Where others call it by its path.
RUN ln -s /usr/local/bin/registry /bin/registry

# Commands beside the server find its data without being told: docker exec NAME berth user list.
ENV REGISTRY_CONFIGURATION_PATH=/etc/docker/registry/config.yml
VOLUME /var/lib/registry
EXPOSE 5000 5001
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["berth", "healthcheck"]
# Without an argument: a token server where /config/auth_config.yml is mounted, as docker_auth's image; else the registry.
ENTRYPOINT ["/entrypoint.sh"]
