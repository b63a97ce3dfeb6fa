"""``python -m csm_otel``."""

import sys

from csm_otel.cli import main

if __name__ == "__main__":
    sys.exit(main())
