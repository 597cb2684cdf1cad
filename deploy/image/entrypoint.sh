#!/bin/sh
# What the image runs. It takes the command lines of the images that it stands in for:
#   [registry] serve|garbage-collect|... | CONFIG.yml                  (registry:2, registry:3)
#   [--v=2 --alsologtostderr ...] /config/auth_config.yml              (cesanta/docker_auth)
#   htpasswd -Bbn USER PASSWORD                                        (registry:2)
# and every command of berth. A server that root starts goes on as an account without privileges (src/run-account.ts).
set -eu

if [ $# = 0 ]; then
  if [ -e /config/auth_config.yml ]; then set -- /config/auth_config.yml; else set -- serve; fi
fi
case $1 in
  sh | bash | /*)
    # A configuration that is named by its path is no program.
    case $1 in *.yml | *.yaml) ;; *) exec "$@" ;; esac
    ;;
  berth) shift ;;
  # What distribution has besides `registry serve`, as its own entrypoint reads it.
  garbage-collect) set -- registry "$@" ;;
esac

if [ "$(id -u)" = 0 ]; then
  options=$(berth container-account "$@")
  # A list of words without blanks in them.
  # shellcheck disable=SC2086
  [ -z "$options" ] || exec setpriv $options -- berth "$@"
fi
exec berth "$@"
