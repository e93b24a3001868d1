"""What the verbs cost: provisioning, a deploy that changes a line of code, the ways back."""

import shutil
import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.host import CACHE, ROOT, Host, run

APP = "slipway-app:bench"
ROUNDS = 3
"""Deploys of a changed line, each followed by both rollbacks."""


def measure(host: Host) -> dict[str, Any]:
    """Measure every verb. The host is bare before and serves afterwards."""
    first = image()
    figures: dict[str, Any] = {"site_bare": host.play("site.yml", first), "site_again": host.play("site.yml", first)}
    rounds = [_round(host, changed_image(number)) for number in range(ROUNDS)]
    for name in rounds[0]:
        if name != "phases":
            figures[name] = statistics.median(entry[name] for entry in rounds)
    names = [phase["name"] for phase in rounds[-1]["phases"]]
    seconds = [{phase["name"]: phase["seconds"] for phase in entry["phases"]} for entry in rounds]
    figures["phases"] = {name: statistics.median(entry.get(name, 0.0) for entry in seconds) for name in names}
    return figures


def _round(host: Host, image: str) -> dict[str, Any]:
    received, began = host.received(), time.time()
    whole = host.play("deploy.yml", image)
    status = host.status()
    release = next(entry for entry in status["releases"] if entry["release"] == status["live"])
    figures = {
        "deploy": whole,
        # The host is a container: both have the same clock.
        "deploy_live": datetime.fromisoformat(release["live_at"]).timestamp() - began,
        "deploy_bytes": host.received() - received,
        "phases": release["phases"],
    }
    figures["rollback"] = host.play("rollback.yml", image)
    host.settle()
    began = time.time()
    host.shell(f"slipway rollback {release['release']}", user="deploy")
    figures["rollback_on_host"] = time.time() - began
    host.settle()
    return figures


def image() -> str:
    """Build the app, and return the image's id."""
    return run(str(ROOT / "tools/image"), "build", "--tag", APP).split()[-1]


def changed_image(number: int) -> str:
    """Build the app with one more line, by its own Dockerfile, and return the image's id."""
    tree = CACHE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        source, copy = ROOT / name, tree / name
        if source.is_file() and not name.startswith(("ansible/", "tests/", "docs/", "bench/")):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    main = tree / "app/main.py"
    main.write_text(main.read_text() + f"\nBENCH = {time.time_ns() + number}\n")
    built = run(str(tree / "tools/image"), "build", "--tag", "slipway-app:bench-changed", folder=Path(tree))
    return built.split()[-1]
