#!/bin/sh
# vipfarm @VERSION@: Deno and the program in one file. What follows this script is unpacked at the first start, into a
# directory of this user's alone, and started from there ever after.
set -eu
hash=@HASH@
case $0 in /*) self=$0 ;; *) self=$(pwd)/$0 ;; esac

fail() {
  echo "vipfarm: $*" >&2
  exit 1
}

# Whether only this user can change what is in there: a directory (no link), this user's, mode 0700. Bits of stat(2).
uid=$(id -u)
is_ours() {
  case $(stat -c '%f %u' "$1" 2>/dev/null) in "41c0 $uid" | "45c0 $uid") return 0 ;; *) return 1 ;; esac
}

# Unpacks into a directory of another name, which gets its own only when all of it is there and has the right hash.
unpack() {
  new=$(mktemp -d "$1/new.XXXXXXXX") || return 1
  trap 'rm -rf "$new"' EXIT
  trap 'exit 1' HUP INT TERM
  tail -c +@OFFSET@ "$self" >"$new/payload" || fail "could not be unpacked into $1"
  case $(sha256sum <"$new/payload") in
    $hash*) ;;
    *) fail "$self is damaged: what is in it does not have the SHA-256 that it should have. Copy it anew." ;;
  esac
  mkdir "$new/program"
  gzip -dc "$new/payload" | tar -xf - -C "$new/program" || fail "could not be unpacked into $1"
  chmod 0700 "$new/program"
  sync -f "$new/program"
  # Somebody may have been faster: then that one is used, once it is looked at.
  mv -T "$new/program" "$1/$hash" 2>/dev/null || [ -d "$1/$hash" ] || fail "could not be unpacked into $1"
  rm -rf "$new"
  trap - EXIT HUP INT TERM
  tidy "$1"
}

# Removes what no start needs any more, when it is a day old: other versions that nothing runs, and what is left of starts
# that were killed.
tidy() {
  for old in "$1"/*; do
    case ${old##*/} in
      "$hash") continue ;;
      new.*) ;;
      *[!0-9a-f]*) continue ;;
    esac
    changed=$(stat -c %Z "$old" 2>/dev/null) || continue
    [ $(($(date +%s) - changed)) -gt 86400 ] || continue
    case $(readlink /proc/[0-9]*/exe 2>/dev/null) in *"$old/"*) continue ;; esac
    rm -rf "$old" || :
  done
}

# Where systemd says, with CacheDirectoryMode=0700 in the unit (a directory of the default mode, 0755, is passed over); for
# root where root alone may write; in the user's cache; without a home beside the temporary files.
umask 077
if [ "$uid" = 0 ] && [ -w /var/cache ]; then system=/var/cache/vipfarm; else system=; fi
home=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
tried=
for base in "${CACHE_DIRECTORY:-$system}" "${home:+$home/vipfarm}" "${TMPDIR:-/tmp}/vipfarm-$uid"; do
  [ -n "$base" ] || continue
  tried="$tried $base"
  [ -d "$base" ] || mkdir -p "$base" 2>/dev/null || continue
  is_ours "$base" || continue
  [ -d "$base/$hash" ] || unpack "$base" || continue
  is_ours "$base/$hash" || continue
  export VIPFARM_EXECUTABLE="$self" DENO_DIR=/dev/null/none DENO_NO_UPDATE_CHECK=1
  exec "$base/$hash/deno" run @DENO_RUN_OPTIONS@ "$base/$hash/@MAIN_FILE@" "$@"
done
fail "found no directory to unpack into. Tried:$tried. Each must be this user's, with mode 0700, or not there yet."
