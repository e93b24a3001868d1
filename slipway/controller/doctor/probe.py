"""Runs on the host, by its own Python with nothing but the standard library: prints as JSON what the host is like."""

import json
import os
import platform
import shutil
import subprocess
import time

UPDATES_SECONDS = 20


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 -- as plain as can be
            return file.read()
    except OSError:
        return ""


def _sudo() -> str:
    """root, yes, password or none."""
    if os.geteuid() == 0:
        return "root"
    if shutil.which("sudo") is None:
        return "none"
    done = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return "yes" if done.returncode == 0 else "password"


def _release() -> "dict[str, str]":
    lines = (line.partition("=") for line in _read("/etc/os-release").splitlines())
    return {name: value.strip('"') for name, _, value in lines}


def _addresses() -> "list[str]":
    """Those by which others may reach this host."""
    try:
        shown = subprocess.run(["ip", "-o", "addr", "show", "scope", "global"], capture_output=True, check=False).stdout
    except OSError:
        return []
    return [line.split()[3].partition("/")[0] for line in shown.decode(errors="replace").splitlines()]


def _reboot() -> "str | None":
    """Return the packages that need a reboot, None if none is pending."""
    if not os.path.exists("/run/reboot-required"):  # noqa: PTH110
        return None
    return " ".join(_read("/run/reboot-required.pkgs").split())


def _updates() -> "int | None":
    """Return how many packages have a security update that is not installed; None if apt does not tell."""
    command = ["apt-get", "--simulate", "-o", "Debug::NoLocking=1", "upgrade"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=UPDATES_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    return (
        sum(line.startswith("Inst ") and "security" in line.lower() for line in lines) if not done.returncode else None
    )


def main() -> None:
    """Print it."""
    began = time.monotonic()
    sudo = _sudo()
    sudo_seconds = time.monotonic() - began
    memory = {line.split(":")[0]: int(line.split()[1]) for line in _read("/proc/meminfo").splitlines()}
    told = {
        "python": platform.python_version(),
        "system": [_release().get("ID", ""), _release().get("VERSION_ID", "")],
        "init": _read("/proc/1/comm").strip(),
        "memory_mb": memory.get("MemTotal", 0) // 1024,
        "swap_mb": memory.get("SwapTotal", 0) // 1024,
        "free_mb": shutil.disk_usage("/srv" if os.path.isdir("/srv") else "/").free // 2**20,  # noqa: PTH112
        "sudo": sudo,
        "sudo_seconds": sudo_seconds,
        "name": platform.node(),
        "addresses": _addresses(),
        "reboot": _reboot(),
        "updates": _updates(),
    }
    # Last: the answer is on its way for as long as everything takes but this.
    print(json.dumps(told | {"seconds": time.monotonic() - began, "time": time.time()}))


main()
