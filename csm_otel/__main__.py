"""``csm-otel`` and ``python -m csm_otel``."""

import signal
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # Ctrl-C before the command has started ends us without a traceback
    # The imports are most of the time until then.
    from csm_otel.process.garbage import defer_collection  # ruff: ignore[import-outside-top-level]

    defer_collection()
    from csm_otel.commands import cli  # ruff: ignore[import-outside-top-level]
    from csm_otel.process import crash  # ruff: ignore[import-outside-top-level]

    crash.hide_texts()
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
