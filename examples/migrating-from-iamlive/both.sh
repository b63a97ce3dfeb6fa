#!/bin/sh
# Runs a command of yours for iamlive and for csm-otel at once: both.sh COMMAND [ARGUMENT...]
#
# iamlive has been started before, and listens where it always does. csm-otel forwards to it what it receives, without
# keys and tokens, and writes a policy of its own. The exit code is the command's.
exec csm-otel exec --tee "${IAMLIVE:-127.0.0.1:31000}" --policy policy.csm-otel.json -- "$@"
