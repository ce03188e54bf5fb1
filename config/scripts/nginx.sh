#!/bin/sh
# Starts, stops, reloads and restarts an nginx of one's own, without systemd.
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

master() {
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ]
}
running() {
  master && kill -0 "$pid" 2>/dev/null
}

start() {
  running || exec nginx -c "$configuration"
}

stop() {
  master || return 0
  if [ "${VIPFARM_STOP:-graceful}" = graceful ] && running; then
    kill -QUIT "$pid"
    while running; do sleep 0.1; done
  fi
  # Workers outlive a master that was killed, and hold its ports: they are in its process group.
  kill -KILL "-$pid" 2>/dev/null || :
  rm -f "$pid_file"
}

case $action in
start) start ;;
stop) stop ;;
restart)
  # A configuration that nginx refuses must not cost the one that runs.
  nginx -t -q -c "$configuration"
  VIPFARM_STOP=${VIPFARM_STOP:-graceful} stop
  start
  ;;
*)
  echo "nginx.sh: what is \"$action\"? start, stop or restart" >&2
  exit 2
  ;;
esac
