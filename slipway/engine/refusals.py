"""What the kernel refused: by error number, path and call, whatever program prints it."""

import errno
import os
import re
from dataclasses import dataclass

from slipway.engine.cause import NO_BROKER, Cause
from slipway.engine.messages import Message

ERRORS = {
    os.strerror(getattr(errno, name)).lower(): name
    for name in (
        *("EROFS", "EACCES", "EPERM", "ENOENT", "EADDRINUSE", "EAFNOSUPPORT", "ENETUNREACH", "EHOSTUNREACH", "ENOSPC"),
        *("EADDRNOTAVAIL", "ENOMEM", "EMFILE", "ENFILE", "EAGAIN", "ENOEXEC", "ECONNREFUSED", "ETIMEDOUT", "EDQUOT"),
    )
}
"""As programs print them, by glibc's words."""
NUMBER = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)|\berrno[ =:]+(\d+)")
QUOTED = re.compile(r"['\"`‘]((?:/|\.{0,2}/|[\w.-]+/?)[^'\"`’\n]*)['\"`’]")
ABSOLUTE = re.compile(r"(?<![\w/:.])(/[\w.@+~-][^\s'\":,;)\]]*)")
HIDDEN = ("/root", "/home", "/run", "/tmp", "/var/tmp", "/dev")
NO_EXEC = ("/tmp/", "/var/tmp/", "/var/lib/app/", "/dev/shm/", "/run/")
PRIVILEGED = (
    *("chown", "fchown", "lchown", "chgrp", "setuid", "setgid", "setgroups", "setresuid", "setresgid", "setreuid"),
    *("initgroups", "setegid", "seteuid"),
)
CALLS = {
    **dict.fromkeys(
        PRIVILEGED,
        "{call} changes users or owners, and the app runs as an ordinary user without capabilities: take {program} out of "
        "the image's ENTRYPOINT and CMD; $STATE_DIRECTORY and /tmp are the app's already",
    ),
    **dict.fromkeys(
        (
            "nice",
            "setpriority",
            "sched_setaffinity",
            "sched_setscheduler",
            "sched_setparam",
            "sched_setattr",
            "ioprio_set",
        ),
        "{call} changes how the kernel schedules, which the sandbox leaves to the unit (SystemCallFilter=~@resources): leave "
        "it out, or set Nice= or CPUAffinity= in a drop-in 50-site.conf",
    ),
    **dict.fromkeys(
        ("unshare", "setns", "clone", "pivot_root", "chroot"),
        "{call} makes a namespace, which the sandbox forbids (RestrictNamespaces=): run without a sandbox of its own "
        "(Chromium: --no-sandbox)",
    ),
    **dict.fromkeys(
        (
            "mount",
            "umount",
            "umount2",
            "mknod",
            "sethostname",
            "setdomainname",
            "clock_settime",
            "settimeofday",
            "reboot",
        ),
        "{call} is an administrator's, and the app has no capabilities: do it on the host, not in the app",
    ),
    **dict.fromkeys(
        ("io_uring_setup", "io_uring_enter", "io_uring"),
        "the sandbox forbids io_uring, which passes by its other rules: use the library's epoll backend",
    ),
    **dict.fromkeys(
        ("add_key", "keyctl", "request_key"),
        "the sandbox forbids the kernel's keyring ({call}): keep the secret in a file of $CREDENTIALS_DIRECTORY (app_secrets)",
    ),
    **dict.fromkeys(
        ("ptrace", "process_vm_readv", "perf_event_open", "bpf", "userfaultfd", "personality"),
        "the sandbox forbids {call}: allow it with SystemCallFilter={call} in a drop-in 50-site.conf",
    ),
    "memfd_create": "the sandbox forbids memfd_create, a file to execute without a place: set `app_allow_jit: true`",
    "setrlimit": "{call} raises a limit above the unit's: set it in a drop-in 50-site.conf (LimitNOFILE= is 65536)",
}
"""System calls that are refused whatever their arguments, and what helps."""
CALL = re.compile(rf"(?<![\w])({'|'.join(sorted(CALLS, key=len, reverse=True))})\d*\b")
BIND = (
    r"\b(socketserver\.py|TCPServer|HTTPServer|bind|bind_socket|create_sockets|create_server|server_bind|listen|"
    r"attempting to bind|bind on any)\b|\[ERROR\] (Connection in use|Invalid address|connection to)\b"
)
"""A server opens a port. The last ones are gunicorn's."""
LISTENERS = r"\b(create_server|bind_socket|server_bind|listen|bind)\b"
NO_ADDRESS = r"could not bind on any address|\[ERROR\] Invalid address: "
UNKNOWN_NAME = (
    r"Name or service not known|Temporary failure in name resolution|No address associated|EAI_AGAIN|ENOTFOUND"
)
CONNECT = r"\b(connect|_connect|_connect_sock|create_connection|open_connection|_raw_connect|sendto|dial)\b"


@dataclass(frozen=True)
class Refusal:
    """What an error of the kernel says of itself."""

    errors: frozenset[str]
    """Names of error numbers in the message."""
    path: str
    """Which file, "" if the message names none."""
    call: str
    """Which system call of CALLS."""

    @classmethod
    def of(cls, message: Message) -> "Refusal":
        """Read it."""
        text, low = message.text, message.text.lower()
        numbers = {int(number) for match in NUMBER.finditer(text) for number in match.groups() if number}
        errors = {errno.errorcode.get(number, "") for number in numbers}
        errors |= {name for words, name in ERRORS.items() if words in low or re.search(rf"\b{name}\b", text)}
        code = next((line for line in reversed(message.frames) if CALL.search(line)), "")
        called = CALL.search(text) or CALL.search(code)
        return cls(frozenset(errors), _path(text, message.frames), called[1] if called else "")

    def has(self, *names: str) -> bool:
        """Whether it is one of these errors."""
        return not self.errors.isdisjoint(names)

    def below(self, *folders: str) -> bool:
        """Whether the file is in one of these folders."""
        return any(f"{self.path}/".startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _path(text: str, frames: tuple[str, ...]) -> str:
    """The file that a message names, or that the traceback's own last lines open."""
    for line in text.splitlines():
        after = re.split(r"\[Errno \d+\]", line)[-1]
        found = [match[1] for match in QUOTED.finditer(after) if "/" in match[1] or "Errno" in line]
        found += ABSOLUTE.findall(
            re.sub(r"^/\S+: (\d+: )?", "", line) if re.match(r"/\S*sh: |/\.slipway/", line) else line
        )
        if found:
            return str(found[-1]) if "Errno" in line else str(found[0])
    opened = (
        match[1]
        for line in reversed(frames)
        if "File " not in line and (match := QUOTED.search(line)) and "/" in match[1]
    )
    return next(opened, "")


def listening(message: Message, refusal: Refusal) -> Cause | None:
    """A server that opens a port: in a network of its own, where every port may be listened on."""
    everything = f"{message.text}\n{message.where}"
    if not re.search(BIND, everything):
        return None
    where = "let it listen on 0.0.0.0:$PORT"
    address, port = _address(_last(message.text)) or _address(message.where) or ("", "")
    if refusal.has("EADDRINUSE") or "[ERROR] Connection in use" in message.text:
        return Cause(
            "socket",
            f"another process of the same unit listens on the port{f' {port}' if port else ''} already (no other release "
            "is in its network): start one server, or give the second one a port of its own",
        )
    if re.search(UNKNOWN_NAME, message.text) and re.search(LISTENERS, everything):
        return Cause("socket", f"the server listens on a name that is not known here: {where}")
    if refusal.has("EADDRNOTAVAIL", "EAFNOSUPPORT") or re.search(NO_ADDRESS, message.text):
        return Cause(
            "socket",
            f"the app has a network of its own, which does not have the address{f' {address}' if address else ''} that "
            f"it listens on: {where}",
        )
    return None


def _address(text: str) -> tuple[str, str] | None:
    """The last address with a port in a text."""
    found: list[tuple[str, str]] = re.findall(r"([\w.:-]*)['\"]?[:,] ?([1-9]\d{1,4})\b(?![.\]])", text)
    return found[-1] if found else None


def _last(text: str) -> str:
    """The line that names the address: the exception's own."""
    return text.splitlines()[-1] if text else ""


def not_run(message: Message) -> Cause | None:
    """A command or an interpreter that is not there, or hidden."""
    shell = re.search(
        r"sh: (?:\d+: |line \d+: )?(?:exec: )?(\S+?): (not found|Permission denied|cannot execute|command not found)|"
        r"/\.slipway/\S+: \d+: (?:exec: )?(\S+?): (not found|Permission denied|.*)|"
        r"env: [‘']?(\S+?)[’']?: (No such file or directory|Permission denied)",
        message.text,
    )
    if not shell:
        if "status=203/EXEC" in message.text:
            return Cause(
                "socket",
                "the command cannot be executed: CMD names a program of the image, and its first line (#!) another",
            )
        return None
    what, why = next((shell[at], shell[at + 1]) for at in (1, 3, 5) if shell[at])
    if "Permission denied" in why and not any(what.startswith(folder) for folder in NO_EXEC):
        place = next((folder for folder in HIDDEN if f"{what}/".startswith(f"{folder}/")), None)
        return Cause(
            "folders" if place else "socket",
            f"{what} cannot be executed: the sandbox hides the image's {place or '/root and /home'}, where {what}, the "
            f"interpreter in its first line (#!) or what it links to is; install it below /opt or /usr/local"
            + ("" if place else f", or make it executable (chmod 755 {what})"),
        )
    if "not found" in why or "No such file" in why:
        return Cause(
            "socket",
            f"there is no {what} in the image's PATH: install it in the Dockerfile, or correct CMD. If the file is there, the "
            "interpreter in its first line (#!) is not, or that line ends in \\r (Windows)",
        )
    return None


def refused(message: Message, refusal: Refusal) -> Cause | None:
    """What the kernel did not let it do, by error, path and call."""
    path, text, where = refusal.path, message.text, message.where
    everything = f"{text}\n{where}"
    named = f" {path}" if path else ""
    if refusal.has("EROFS"):
        advice = f"the app wrote outside of its state{':' + named if path else ''}: it may write to $STATE_DIRECTORY and /tmp only"
        if re.search(r"\.log$|/log/", path):
            advice += "; log to stdout"
        elif not refusal.below("/run"):
            advice += f", or name its folder in `app_writable: {_folder(path)}`"
        return Cause("writes", advice)
    if refusal.has("ENOSPC") and (
        refusal.below("/dev/shm") or "/dev/shm" in everything or "shared memory" in text.lower() or "shm" in where
    ):
        return Cause("ready", "/dev/shm is full, it holds 64 MB: put what is larger into $STATE_DIRECTORY or /tmp")
    if refusal.has("ENOSPC", "EDQUOT"):
        return Cause(
            "ready",
            f"no space is left for{named or ' what it wrote'}: /dev/shm holds 64 MB; else the host's disk is full (df -h)",
        )
    if refusal.below("/proc", "/sys") and refusal.has("ENOENT", "EACCES", "EPERM"):
        return Cause(
            "ready",
            f"the sandbox hides{named} (ProcSubset=pid, ProtectProc=invisible): leave out what reads it, or "
            "allow it with ProcSubset=all in a drop-in 50-site.conf",
        )
    if (
        refusal.below("/var/lib/app", "/tmp", "/var/tmp", "/dev/shm")
        and refusal.has("EACCES")
        and (
            re.search(r"exec|spawn|Popen|dlopen|CDLL", where)
            or not re.search(r"\bopen\(|mkdir|unlink|rename|chmod", where)
        )
    ):
        return Cause(
            "ready",
            f"the app runs what it wrote itself ({path}), and nothing that it writes may be executed: set "
            "`app_allow_jit: true`, or have it in the image",
        )
    if re.search(r"doesn't exist\. Can't create pidfile", text):
        return Cause(
            "writes", f"there is no folder for{named}: /run is read-only for the app; write it to /tmp, or leave it out"
        )
    if refusal.below(*HIDDEN) and refusal.has("ENOENT", "EACCES"):
        top = next(folder for folder in HIDDEN if refusal.below(folder))
        return Cause(
            "folders",
            f"the sandbox hides the image's {top}, where the app looked for{named}: put it below /app or /opt in the "
            "Dockerfile",
        )
    if refusal.has("EACCES") and path:
        return Cause(
            "writes",
            f"the app may not use{named}: it runs as the user `app`, and files of the image are read-only "
            "for it; write to $STATE_DIRECTORY or /tmp, and correct the mode with chmod if it is in there",
        )
    if refusal.has("ENOENT") and path and not refusal.has("ECONNREFUSED"):
        return Cause(
            "ready",
            f"there is no{named} in the image: add it with COPY in the Dockerfile (.dockerignore may leave it out)",
        )
    return network(message, refusal) or privilege(message, refusal)


def _folder(path: str) -> str:
    """What app_writable is to name for a file that could not be written; a name without a dot is a folder's own."""
    if not path.startswith("/"):
        return f"[<WORKDIR>/{path.removeprefix('./')}]" if path else "[/app/data]"
    folder, _, name = path.rpartition("/")
    return f"[{folder or '/' if '.' in name.lstrip('.') else path}]"


def network(message: Message, refusal: Refusal) -> Cause | None:
    """A connection that is not allowed, or that nobody takes."""
    everything = f"{message.text}\n{message.where}"
    family = re.search(r"AF_(?!INET|UNIX)\w+", everything)
    if family and refusal.has("EAFNOSUPPORT"):
        return Cause(
            "ready",
            f"the sandbox allows no {family[0]} sockets (RestrictAddressFamilies=): leave out what opens them, or add "
            f"RestrictAddressFamilies={family[0]} in a drop-in 50-site.conf",
        )
    if refusal.has("EAFNOSUPPORT", "ENETUNREACH", "EHOSTUNREACH"):
        return Cause(
            "ready",
            "the app opened a network connection, and what it may reach is `app_egress`: set it to host, "
            "networks or internet",
        )
    raw = re.search(r"SOCK_RAW|AF_PACKET|icmp", everything)
    if raw and refusal.has("EPERM"):
        return Cause(
            "ready",
            f"raw sockets ({raw[0]}) need a capability, and the app has none: leave out what pings or sniffs",
        )
    if refusal.has("ECONNREFUSED") and (
        at := re.search(
            r"\(?['\"]?((?:127\.0\.0\.\d+|localhost|::1|[\w.-]+\.[\w.-]+))['\"]?[,:] ?(?:port )?(\d+)|server at \"([^\"]+)\".*port (\d+)",
            everything,
        )
    ):
        host, port = (at[1], at[2]) if at[1] else (at[3], at[4])
        advice = f"nothing answers at {host}:{port}: start it there, or correct the address in settings.env"
        if re.fullmatch(r"127\.[\d.]+|localhost|::1", host):
            advice = (
                f"nothing answers at {host}:{port} in the app's own network: this host's loopback is reached with "
                "`app_egress: host`, the PostgreSQL and broker of the group `data` with `app_data_access: tcp`"
            )
            advice += f"; {NO_BROKER}" if port == "6379" else ""
        return Cause("ready", advice)
    if refusal.has("EPERM", "ETIMEDOUT") and re.search(CONNECT, everything):
        return Cause(
            "ready",
            "the app connected to an address that `app_egress` does not allow: add it to app_egress_networks, or "
            "set app_egress to internet",
        )
    return None


def privilege(message: Message, refusal: Refusal) -> Cause | None:
    """What needs a privilege or a system call that the app does not have."""
    denied = refusal.has("EPERM") or re.search(
        r"must be superuser|Authentication failure|must be run as root|are you root", message.text
    )
    if not denied:
        return None
    if re.search(r"chmod", f"{message.text}\n{message.where}"):
        return Cause(
            "ready",
            f"the sandbox lets no file have a set-id bit ({refusal.path or 'chmod'}; RestrictSUIDSGID=): leave out u+s and g+s",
        )
    program = re.match(
        r"(?:\S+/)?(gosu|su-exec|setpriv|su|sudo|runuser|chroot|chpst|s6-setuidgid)\b|error: failed switching to|.*\b(su):",
        message.text,
    )
    if program:
        name = program[1] or program[2] or "gosu"
        return Cause("ready", CALLS["setuid"].format(call=name, program=name))
    if refusal.call:
        named = re.match(r"(chown|chgrp|mount|unshare|nice|chroot): ", message.text)
        return Cause(
            "ready", CALLS[refusal.call].format(call=refusal.call, program=f"`{named[1] if named else refusal.call}`")
        )
    return None
