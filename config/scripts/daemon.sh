#!/bin/sh
# Runs a program that does not put itself into the background: a Java service, Node.js, Python...
#
#   daemon.sh start|stop PID_FILE LOG_FILE COMMAND [ARGUMENT...]
#
# The program gets a session of its own, so that it outlives this script and vipfarm, and its output goes to LOG_FILE.
# start waits a moment, and fails with the last lines of the log if the program ends in it. For vipfarm: start may be
# called while the program runs; stop sends SIGTERM and waits (VIPFARM_STOP=graceful), or kills its group (forced).
set -eu

action=${1:?start or stop}
pid_file=${2:?the path of a pid file}
log_file=${3:?the path of a log file}
shift 3

# Seconds that the program must live to count as started.
settle=1

# A process that only waits to be reaped has ended.
alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null
}

running() {
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && alive "$pid"
}

case $action in
start)
  if running; then exit 0; fi
  # The shell writes its own number, and becomes the program.
  # shellcheck disable=SC2016
  setsid sh -c 'echo $$ >"$0"; exec "$@"' "$pid_file" "$@" </dev/null >>"$log_file" 2>&1 &
  sleep "$settle"
  if running; then exit 0; fi
  tail -n 5 "$log_file" >&2
  exit 1
  ;;
stop)
  pid=$(cat "$pid_file" 2>/dev/null) || exit 0
  if [ "${VIPFARM_STOP:-graceful}" = graceful ] && running; then
    kill -TERM "$pid"
    while running; do sleep 0.1; done
  fi
  kill -KILL "-$pid" 2>/dev/null || :
  rm -f "$pid_file"
  ;;
*)
  echo "daemon.sh: what is \"$action\"? start or stop" >&2
  exit 2
  ;;
esac
