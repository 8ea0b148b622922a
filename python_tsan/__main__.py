"""Entry point of ``python -m python_tsan``; the command line itself lives in :mod:`python_tsan.cli.main`."""

import sys

from python_tsan.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
