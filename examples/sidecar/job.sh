#!/bin/sh
# A job whose commands all send to one csm-otel, which runs in the background meanwhile.
#
# With SIGTERM it delivers what it has within --drain-seconds, 8 by default. Not SIGINT: what a script starts with &
# ignores that. The flush before reports whether everything arrived; if the commands went well, its exit code is that of
# the job.
set -eu

csm-otel serve &
daemon=$!
trap 'kill "$daemon" 2>/dev/null && wait "$daemon" || :' EXIT # leaves the exit code as it is
trap 'exit 143' HUP INT TERM                                  # else sh would leave the daemon running
until csm-otel health --check ready 2>/dev/null; do
    kill -0 "$daemon" # else it could not start, and has said why
    sleep 0.2
done
eval "$(csm-otel env --name nightly)"

python legacy_backup.py
python legacy_backup.py

csm-otel flush
