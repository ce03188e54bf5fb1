#!/bin/sh
# What a notification is told by, written to the system's log; a place to start from.
#
#   VIPFARM_EVENT     kind of event, such as state.failed, member.dead, check.down
#   VIPFARM_SEVERITY  info, warning or error
#   VIPFARM_MESSAGE   what happened and what follows, in a sentence
#   VIPFARM_TIME      when (ISO 8601)         VIPFARM_FARM     the farm
#   VIPFARM_NODE      who tells               VIPFARM_SUBJECT  the node that it is about, if it is about one
#   VIPFARM_DETAILS   more, as JSON
#
# Every node tells what it sees: for one message from the farm, let only the node act that it is about.
set -eu

case $VIPFARM_SEVERITY in
error) priority=daemon.err ;;
warning) priority=daemon.warning ;;
*) priority=daemon.notice ;;
esac

exec logger --tag vipfarm-notify --priority "$priority" -- "$VIPFARM_FARM: $VIPFARM_MESSAGE ($VIPFARM_EVENT)"
