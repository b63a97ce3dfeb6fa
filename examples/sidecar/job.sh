#!/bin/sh
# A job whose commands all send to one csm-otel, which runs in the background meanwhile.
#
# With SIGTERM it delivers what it has within --drain-seconds, 8 by default. Not SIGINT: what a script starts with &
# ignores that. Whatever becomes of csm-otel, the commands run, and the exit code is theirs. The flush before reports
# whether everything arrived; without `|| :` after it the job fails if not.
set -eu

csm-otel serve &
daemon=$!
trap 'kill "$daemon" 2>/dev/null && wait "$daemon" || :' EXIT # leaves the exit code as it is
trap 'exit 143' HUP INT TERM                                  # else sh would leave the daemon running
tries=0
until csm-otel health --check ready 2>/dev/null || ! kill -0 "$daemon" 2>/dev/null || [ $((tries += 1)) -gt 20 ]; do
    sleep 0.2
done
if kill -0 "$daemon" 2>/dev/null; then # else it could not start, and has said why
    eval "$(csm-otel env --name nightly)"
fi

python legacy_backup.py
python legacy_backup.py

csm-otel flush || :
