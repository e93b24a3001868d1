"""What somebody with a stolen deploy key does with the engine's own commands."""

import json
from typing import Any

RELEASE = "20200101T000000-abcdef0"
PARTIAL = f"/srv/app/releases/.{RELEASE}.partial"


def ship(deployer: Any, status: Any) -> str:
    """Ship a release of the attacker's own making, up to its sealing. Returns the folder of its files."""
    manifest = {
        "image": "sha256:" + "0" * 64,
        "image_name": "evil",
        "architecture": status["architecture"],
        "cmd": ["/bin/sleep", "60"],
        "workdir": "/",
        "jobs": dict.fromkeys(status["config"]["jobs"], "true"),
        "procfile": dict.fromkeys(status["config"]["processes"], "exec sleep 60"),
    }
    begun = deployer.run("printf %%s %s | slipway ship-begin " + RELEASE, json.dumps(manifest))
    assert begun.rc == 0, begun.stderr
    made = "dev etc proc run sys tmp var/lib/app var/tmp bin"
    deployer.check_output(f"cd {PARTIAL} && mkdir -p {made} && cp /bin/sh bin && echo good > code.py")
    return PARTIAL


def fill(deployer: Any) -> None:
    """Let it have what a program needs to start: the live release's files, copied."""
    base = "/srv/app/current"
    deployer.check_output(f"cd {PARTIAL} && rm -r bin && cp -a {base}/bin {base}/lib* {base}/usr .")


def remove(deployer: Any) -> None:
    """Remove it, whatever became of it."""
    deployer.run(f"systemctl --no-ask-password stop app@{RELEASE}.service app@{RELEASE}.socket")
    deployer.run(f"slipway ship-cancel {RELEASE}; systemctl --no-ask-password start remove@{RELEASE}.service")
    deployer.run(f"rm -rf /srv/app/releases/{RELEASE}*")
