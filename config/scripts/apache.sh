#!/bin/sh
# Starts and stops an Apache HTTP server of one's own, without systemd.
#
#   apache.sh start|stop [CONFIGURATION]
#
# The configuration must name its PidFile with the full path. For vipfarm: start may be called while Apache runs; stop
# waits until open requests have ended (VIPFARM_STOP=graceful), or kills (forced).
set -eu

action=${1:?start or stop}
configuration=${2:-/etc/apache2/apache2.conf}
# Debian sets what its configuration needs here.
if [ "$configuration" = /etc/apache2/apache2.conf ] && [ -r /etc/apache2/envvars ]; then
  set +u
  # shellcheck source=/dev/null
  . /etc/apache2/envvars
  set -u
  mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
fi

pid_file=${APACHE_PID_FILE:-$(sed -n 's/^[[:space:]]*PidFile[[:space:]]\{1,\}"\{0,1\}\([^"]*\)"\{0,1\}[[:space:]]*$/\1/p' "$configuration")}

# A process that only waits to be reaped has ended.
alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null
}

# The parent's number; empty if there is none. Apache removes the file before it ends.
pid=$(cat "$pid_file" 2>/dev/null) || pid=

case $action in
start)
  if [ -n "$pid" ] && alive "$pid"; then exit 0; fi
  exec apache2 -f "$configuration" -k start
  ;;
stop)
  [ -n "$pid" ] || exit 0
  if [ "${VIPFARM_STOP:-graceful}" = graceful ] && alive "$pid"; then
    apache2 -f "$configuration" -k graceful-stop
    while alive "$pid"; do sleep 0.1; done
  fi
  # Children outlive a parent that was killed: they are in its process group.
  kill -KILL "-$pid" 2>/dev/null || :
  rm -f "$pid_file"
  ;;
*)
  echo "apache.sh: what is \"$action\"? start or stop" >&2
  exit 2
  ;;
esac
