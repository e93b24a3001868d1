"""What a failed start is told by, and what every rule names."""

from dataclasses import dataclass

SOCKET_ADVICE = (
    "serve on the socket that systemd hands over: start uvicorn with --fd 3; gunicorn takes it by itself "
    "(LISTEN_FDS) if the image's command becomes gunicorn, so start it with `exec` in a script, without tini or "
    "dumb-init"
)
"""For an app that nobody reaches, or that tried to listen by itself."""

NO_BROKER = "`release:` of the Procfile may not use the broker: let the app, a process or a job do that"


@dataclass(frozen=True)
class Cause:
    """Why it failed."""

    kind: str
    """The line of the contract that is broken (slipway.contract.lines), or `ready`."""
    advice: str
    """What, which value, which rule, what to type."""
