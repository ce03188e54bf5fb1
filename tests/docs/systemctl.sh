#!/bin/sh
# Where there is no systemd: does for vipfarm.service what systemctl would do, by the command lines of the unit itself.
set -eu
unit=$VIPFARM_UNIT_FILE
state=/run/vipfarm.service
line() { sed -n "s|^$1=/usr/bin/||p" "$unit" | head -1; }
main() { cat "$state" 2>/dev/null; }
wait_end() { while kill -0 "$1" 2>/dev/null; do sleep 0.05; done; }

start() {
  mkdir -p /run/vipfarm
  # shellcheck disable=SC2046
  setsid $(line ExecStart) >>/run/vipfarm.log 2>&1 </dev/null &
  echo $! >"$state"
  # Type=notify: systemctl returns when the node has joined.
  until vipfarm status >/dev/null 2>&1; do
    kill -0 "$(main)" || { cat /run/vipfarm.log >&2; exit 1; }
    sleep 0.2
  done
}
stop() {
  pid=$(main) && kill "$pid" 2>/dev/null && wait_end "$pid"
  rm -f "$state"
}

verb=$1
shift
case "$verb $*" in
  "enable --now vipfarm" | "start vipfarm") start ;;
  "stop vipfarm" | "disable --now vipfarm") stop ;;
  "restart vipfarm") stop; start ;;
  "reload vipfarm") sh -c "$(line ExecReload)" ;;
  "kill --kill-whom=main -s USR2 vipfarm") kill -s USR2 "$(main)" ;;
  "daemon-reload ") ;;
  *) echo "systemctl $verb $*: not known here" >&2; exit 1 ;;
esac
