"""gunicorn's settings. `GUNICORN_CMD_ARGS` and the command line win over what stands here.

Under systemd the socket is handed over (LISTEN_FDS), and `bind` is not used. The signals HUP and USR2 are never sent:
a new release is a new instance.
"""

import gc
import os
from typing import Any

from server import forks, logs, preload, sizing

_plan = sizing.plan(os.environ)

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
worker_class = "server.worker.Worker"
workers = _plan.workers
preload_app = os.environ.get("APP_PRELOAD", "true").lower() != "false"
timeout = 30
graceful_timeout = 30
backlog = 4096  # the length of the queue, which every server sets again: as app@.socket has it
keepalive = 10  # longer than nginx keeps a connection, so nginx is always the side that closes it
worker_tmp_dir = "/dev/shm"  # noqa: S108 -- the heartbeat file: on a disk, a slow write looks like a dead worker
control_socket_disable = True  # by it, all that runs as the app's user can stop gunicorn
logconfig_dict = logs.CONFIG

if preload_app:
    preload.watch()


def on_starting(arbiter: Any) -> None:
    """Look at what the import left behind. The app is loaded by now, and nothing is forked or listening yet."""
    os.environ["WEB_CONCURRENCY"] = str(arbiter.cfg.workers)  # the workers tell it in /version and share a pool by it
    if arbiter.cfg.workers == workers:
        arbiter.log.info("%d workers: %s", workers, _plan.why)
    if arbiter.cfg.preload_app:
        preload.check()
        # What exists now is moved out of the collector's sight, so its walks do not copy the pages that workers share.
        gc.collect()
        gc.freeze()
    forks.let_a_new_worker_be_stopped()
