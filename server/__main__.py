"""`python -m server app.main:app`: gunicorn with this folder's configuration.

gunicorn reads WEB_CONCURRENCY while it is imported, and meets a wrong value with a traceback; so it is checked first.
Everything after the module is gunicorn's own command line.
"""

import os
import sys
from pathlib import Path

from server import draining, sizing


def main() -> None:
    """Check the settings, then become gunicorn."""
    try:
        sizing.plan(os.environ)
        draining.seconds(os.environ)
    except sizing.BadSettingError as error:
        sys.exit(f"error: {error}")
    from gunicorn.app.wsgiapp import run

    sys.argv[:1] = ["gunicorn", "--config", str(Path(__file__).parent / "gunicorn.conf.py")]
    run()


if __name__ == "__main__":
    main()
