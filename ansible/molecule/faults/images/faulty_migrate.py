"""The migrations, bad in the way that the setting FAULT names."""

import os
import runpy
import time

FAULT = os.environ.get("FAULT", "")
if FAULT == "migration":
    raise SystemExit('relation "links" does not exist')
if FAULT == "migration-hangs":
    print("waiting for a lock on the table links", flush=True)
    time.sleep(3600)
if FAULT == "migration-slow":
    time.sleep(4)
runpy.run_module("app.migrate", run_name="__main__")
