"""Starts the command of a data host: installed as /usr/local/lib/slipway/__main__.py, beside the package `slipway`."""

import sys

from slipway.data_host.cli import main

sys.exit(main())
