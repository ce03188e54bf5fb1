#!/bin/sh
# Starts, stops and restarts an nginx of one's own, without systemd.
#
#   nginx.sh start|stop|restart [CONFIGURATION]
#
# The configuration must name its pid file ("pid /run/nginx.pid;"). For vipfarm: start may be called while nginx runs;
# stop waits until open requests have ended (VIPFARM_STOP=graceful), or kills (forced); whatever nginx prints is shown
# in vipfarm's events.
set -eu

action=${1:?start, stop or restart}
configuration=${2:-/etc/nginx/nginx.conf}

pid_file=$(sed -n 's/^[[:space:]]*pid[[:space:]]\{1,\}\(.*\);.*$/\1/p' "$configuration" | head -n 1)
: "${pid_file:=/run/nginx.pid}"

# A process that only waits to be reaped has ended.
alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null
}

# The master's number; empty if there is none.
pid=$(cat "$pid_file" 2>/dev/null) || pid=

start() {
  if [ -n "$pid" ] && alive "$pid"; then return; fi
  exec nginx -c "$configuration"
}

stop() {
  [ -n "$pid" ] || return 0
  if [ "${VIPFARM_STOP:-graceful}" = graceful ] && alive "$pid"; then
    kill -QUIT "$pid"
    while alive "$pid"; do sleep 0.1; done
  fi
  # Workers outlive a master that was killed, and hold its ports: they are in its process group.
  kill -KILL "-$pid" 2>/dev/null || :
  rm -f "$pid_file"
  pid=
}

case $action in
start) start ;;
stop) stop ;;
restart)
  # A configuration that nginx refuses must not cost the one that runs.
  nginx -t -q -c "$configuration"
  stop
  start
  ;;
*)
  echo "nginx.sh: what is \"$action\"? start, stop or restart" >&2
  exit 2
  ;;
esac
