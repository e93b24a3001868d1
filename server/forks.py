"""A worker that is told to stop while it is being forked stops.

Until it has set up its own handlers, a new worker has the master's, which put a signal into a queue that only the
master reads: the signal is lost, and gunicorn waits its whole graceful timeout for that worker.
"""

import os
import signal

STOPS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def let_a_new_worker_be_stopped() -> None:
    """From now on, what this process forks dies of a signal to stop until it handles that itself.

    The signals wait while the fork happens, so none comes in between. What the workers fork is left as it is.
    """
    master = os.getpid()

    def hold() -> None:
        if os.getpid() == master:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

    def release() -> None:
        if os.getpid() == master:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def default() -> None:
        if os.getppid() == master:
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=default)
