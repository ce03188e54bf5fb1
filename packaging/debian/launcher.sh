#!/bin/sh
# vipfarm: the program in @LIBRARY@, run by the Deno beside it.
export VIPFARM_EXECUTABLE=/usr/bin/vipfarm DENO_DIR=/dev/null/none DENO_NO_UPDATE_CHECK=1
exec @LIBRARY@/deno run @DENO_RUN_OPTIONS@ @LIBRARY@/@MAIN_FILE@ "$@"
