"""How an inventory's hosts are reached over SSH: ssh's arguments, the jump hosts on the way, and CI's own ssh.

`python -m slipway.controller.ssh FOLDER` writes CI's ssh, from SLIPWAY_SSH_KEY and SLIPWAY_KNOWN_HOSTS.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.model.errors import SlipwayError

_OF_SSH = ("ssh_private_key_file", "ssh_args", "ssh_common_args", "ssh_extra_args", "ssh_executable")
REACH = frozenset(f"ansible_{name}" for name in ("host", "port", *_OF_SSH))
"""Ansible's variables of a host that every verb reads."""

# What an inventory could say of how a host proves itself, and by which key to log in.
STRICT = (
    "GlobalKnownHostsFile=none",
    "KnownHostsCommand=none",
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
)

# bash, for -a: under another name than `ssh`, ssh would start the same program, not this script, for a jump host.
SCRIPT = """#!/usr/bin/env bash
# ssh with the keys of CI. They come before the inventory's options, and ssh takes the first of each.
exec -a ssh {ssh} {options} "$@"
"""


def arguments(name: str, values: Mapping[str, Any], user: str) -> list[str]:
    """Return ssh's arguments for a host, as Ansible would pass them.

    Args:
        name: the host's name in the inventory.
        values: its variables.
        user: whom to log in as.

    Raises:
        SlipwayError: a variable that says how the host is reached is a template, which only a playbook resolves.
    """
    for variable, value in values.items():
        if variable in REACH and "{{" in str(value):
            raise SlipwayError(
                f"{name}: {variable} is {value}, and only playbooks resolve templates. Write its value into hosts.yml."
            )
    key = values.get("ansible_ssh_private_key_file")
    port = values.get("ansible_port")
    return [
        *shlex.split(str(values.get("ansible_ssh_args", ""))),
        *([f"-p{port}"] if port else []),
        *([f"-oIdentityFile={key}"] if key else []),
        *shlex.split(str(values.get("ansible_ssh_common_args", ""))),
        *shlex.split(str(values.get("ansible_ssh_extra_args", ""))),
        f"{user}@{values.get('ansible_host', name)}",
    ]


def write_strict_ssh(folder: Path, known_hosts: str, key: str | None) -> Path:
    """Write an `ssh` that accepts these hosts' keys only, and return the folder to put first on the PATH.

    There, the ssh of a ProxyJump and of a ProxyCommand is this one, too.

    Args:
        folder: a private one.
        known_hosts: lines as in known_hosts(5).
        key: the private key to log in with; without one, the user's own are tried.
    """
    options = [f"UserKnownHostsFile={_write(folder / 'known_hosts', known_hosts)}", *STRICT]
    if key:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_write(folder / 'key', key)}"]
    program = folder / "bin/ssh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        SCRIPT.format(
            ssh=shlex.quote(shutil.which("ssh") or "ssh"), options=shlex.join(f"-o{each}" for each in options)
        )
    )
    program.chmod(0o700)
    return program.parent


def _write(file: Path, text: str) -> Path:
    """Write a file that nobody else reads. ssh wants a key to end with a new line."""
    file.touch(mode=0o600)
    file.write_text(text.rstrip("\n") + "\n")
    return file


def resolve(args: Sequence[str]) -> dict[str, str]:
    """Return what ssh makes of its arguments and its configuration, by the option's name in lower case (`ssh -G`).

    Raises:
        ValueError: ssh refuses the arguments; the text is why.
    """
    done = subprocess.run(["ssh", "-G", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"ssh -G {shlex.join(args)}: {done.stderr.strip()}")
    return {name: value for name, _, value in (line.partition(" ") for line in done.stdout.splitlines())}


def jumps(args: Sequence[str]) -> Iterator[list[str]]:
    """Yield ssh's arguments for each jump host on the way to a host, by ProxyJump or by a ProxyCommand that is an ssh.

    Raises:
        ValueError: ssh refuses the arguments.
    """
    config = resolve(args)
    for jump in filter(lambda name: name != "none", config.get("proxyjump", "none").split(",")):
        found = [*_config_file(args), jump if jump.startswith("ssh://") else f"ssh://{jump}"]
        yield from jumps(found)
        yield found
    words = shlex.split(config.get("proxycommand", ""))
    if words[:1] == ["exec"]:
        words = words[1:]
    if words and Path(words[0]).name == "ssh":
        tokens = {"%h": config["hostname"], "%n": config["hostname"], "%p": config["port"], "%r": config["user"]}
        found = words[1:]
        for token, value in tokens.items():
            found = [word.replace(token, value) for word in found]
        yield from jumps(found)
        yield found


def _config_file(args: Sequence[str]) -> list[str]:
    """The -F of arguments. ssh hands it on to the ssh of a ProxyJump, and no other option."""
    for index, arg in enumerate(args):
        if arg.startswith("-F"):
            return list(args[index : index + (2 if arg == "-F" else 1)])
    return []


def known_name(config: Mapping[str, str]) -> str:
    """Return the name under which known_hosts has a host, of what `resolve` found."""
    if alias := config.get("hostkeyalias"):
        return alias
    return config["hostname"] if config["port"] == "22" else f"[{config['hostname']}]:{config['port']}"


def known_keys(config: Mapping[str, str]) -> list[str]:
    """Return the lines of this user's known_hosts for a host, each with the host's plain name."""
    name, lines = known_name(config), []
    for file in f"{config.get('userknownhostsfile', '')} {config.get('globalknownhostsfile', '')}".split():
        done = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", Path(file).expanduser()], capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            marker, fields = "", line.split()
            if line.startswith("@"):
                marker, fields = f"{fields[0]} ", fields[1:]
            if not line.startswith(("#", "@revoked")):
                lines.append(f"{marker}{name} {' '.join(fields[1:3])}")
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    write_strict_ssh(Path(sys.argv[1]), os.environ["SLIPWAY_KNOWN_HOSTS"], os.environ["SLIPWAY_SSH_KEY"])
