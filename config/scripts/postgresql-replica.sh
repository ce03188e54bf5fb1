#!/bin/sh
# Starts, stops and checks a PostgreSQL server that answers reads: a replica, or the primary too.
#
#   postgresql-replica.sh start|stop|check DATA_DIRECTORY [SECONDS_BEHIND_MAX]
#
# Runs as the server's user (`user: postgres` in the configuration). check succeeds while the server answers and is
# not further behind its primary than SECONDS_BEHIND_MAX (default 10); what it prints becomes the check's reason.
set -eu

action=${1:?start, stop or check}
data=${2:?the data directory}
behind_max=${3:-10}

# Debian keeps the programs of each version apart.
for directory in /usr/lib/postgresql/*/bin; do PATH=$directory:$PATH; done

# Where the running server listens: postmaster.pid, lines 4 (port) and 5 (socket directory).
query() {
  port=$(sed -n 4p "$data/postmaster.pid")
  sockets=$(sed -n 5p "$data/postmaster.pid")
  psql --no-psqlrc --no-password --tuples-only --no-align --host="$sockets" --port="$port" --dbname=postgres \
    --command="$1"
}

case $action in
start)
  if pg_ctl status --pgdata="$data" >/dev/null 2>&1; then exit 0; fi
  # The server's last words go into vipfarm's event.
  if ! pg_ctl start --silent --wait --pgdata="$data" --log="$data/startup.log"; then
    tail -n 3 "$data/startup.log" >&2
    exit 1
  fi
  ;;
stop)
  if ! pg_ctl status --pgdata="$data" >/dev/null 2>&1; then exit 0; fi
  # fast: open transactions are rolled back; a smart stop would wait for the last client to leave.
  mode=fast
  if [ "${VIPFARM_STOP:-graceful}" = forced ]; then mode=immediate; fi
  exec pg_ctl stop --silent --wait --pgdata="$data" --mode="$mode"
  ;;
check)
  if [ ! -r "$data/postmaster.pid" ]; then
    echo "the server does not run"
    exit 1
  fi
  # A replica that has replayed all that it got is not behind, however old the last transaction is.
  behind=$(query "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
    THEN 0 ELSE ceil(coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)) END")
  echo "$behind s behind the primary"
  [ "$behind" -le "$behind_max" ]
  ;;
*)
  echo "postgresql-replica.sh: what is \"$action\"? start, stop or check" >&2
  exit 2
  ;;
esac
