"""Starts the engine: installed as /usr/local/lib/slipway/__main__.py, beside the package `slipway`."""

import sys

from slipway.engine.cli import main

sys.exit(main())
