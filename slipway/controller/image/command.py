"""What an image runs, looked up in its file system before it is shipped: program, interpreter, links."""

import os
import re
import shlex
import stat
from pathlib import Path, PurePosixPath

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""systemd's, for an image without one."""
HIDDEN = ("dev", "home", "proc", "root", "run", "sys", "tmp", "var/tmp")
"""Folders of the image that the sandbox hides: systemd's API file systems, PrivateTmp=, ProtectHome=."""
MAX_LINKS = 40
"""As the kernel counts (path_resolution(7))."""
MAX_INTERPRETERS = 5
SHELLS = ("sh", "bash", "dash", "ash", "busybox")
WRAPPERS = ("env", "exec", "nice", "tini", "dumb-init", "stdbuf", "catatonit")
"""Programs that become or start the next program of their arguments."""
BUILTINS = frozenset(
    (
        *(
            ".",
            ":",
            "[",
            "alias",
            "break",
            "case",
            "cd",
            "command",
            "continue",
            "declare",
            "echo",
            "eval",
            "exit",
            "export",
        ),
        *(
            "false",
            "for",
            "function",
            "getopts",
            "hash",
            "if",
            "kill",
            "let",
            "local",
            "printf",
            "pwd",
            "read",
            "readonly",
        ),
        *(
            "return",
            "set",
            "shift",
            "shopt",
            "source",
            "test",
            "time",
            "times",
            "trap",
            "true",
            "type",
            "typeset",
            "ulimit",
        ),
        *("umask", "unalias", "unset", "until", "wait", "while", "!"),
    )
)
NOTED_BYTES = 1024 * 1024
"""From here on what is hidden is worth a note: an interpreter, packages or a model rather than a .bashrc."""


class CommandError(ValueError):
    """A command that cannot run as a release; the text says what is found where, and what to do."""

    def __init__(self, text: str, *, hidden: bool = False) -> None:
        """`hidden`: it is in the image, where the sandbox hides it."""
        super().__init__(text)
        self.hidden = hidden


def check_words(tree: Path, words: list[str], env: dict[str, str], workdir: str) -> None:
    """Look a command up as the kernel and a shell will: links, `#!` lines, and what `sh -c` and tini start.

    Raises:
        CommandError: a program on the way is not there, not executable, or hidden.
    """
    path = env.get("PATH") or DEFAULT_PATH
    _check_program(tree, words[0], path, workdir)
    name, rest = PurePosixPath(words[0]).name, words[1:]
    if name in SHELLS and "-c" in rest[:2] and len(rest) > rest.index("-c") + 1:
        check_line(tree, rest[rest.index("-c") + 1], env, workdir)
    elif name in WRAPPERS and (inner := _wrapped(rest)):
        check_words(tree, inner, env, workdir)


def check_line(tree: Path, line: str, env: dict[str, str], workdir: str) -> None:
    """Look up the first program of a line for the shell, where that can be told without running it.

    Raises:
        CommandError: as `check_words`.
    """
    first = re.split(r"&&|;|\n|\|", line)[0]
    if re.search(r"\|\||\bif\b|[`$(){}*?]", first) or "||" in line:
        return
    try:
        words = shlex.split(first)
    except ValueError:
        return
    while words and (re.match(r"\w+=", words[0]) or words[0] == "exec"):
        words.pop(0)
    if words and words[0] not in BUILTINS:
        check_words(tree, words, env, workdir)


def _wrapped(words: list[str]) -> list[str]:
    """What follows a wrapper's own options and variables; [] where that cannot be told."""
    if "--" in words:
        return words[words.index("--") + 1 :]
    rest = words
    while rest and re.match(r"\w+=", rest[0]):
        rest = rest[1:]
    return [] if not rest or rest[0].startswith("-") else rest


def _check_program(tree: Path, name: str, path: str, workdir: str) -> None:
    wanted, why = name, ""
    for _ in range(MAX_INTERPRETERS):
        place = find(tree, wanted, path, workdir)
        if place is None and not hidden(wanted):
            where = "the image" if "/" in wanted else f"the image's PATH ({path})"
            raise CommandError(
                f"runs {name}{why}, and there is no {wanted} in {where}. Install it in the Dockerfile, or correct "
                "the command"
            )
        place = place or wanted
        file, steps = trail(tree, place)
        for step in steps:
            if top := hidden(step):
                through = "" if step == place else f" ({place} leads to {step})"
                raise CommandError(
                    f"runs {name}{why}{through}, and the sandbox hides the image's /{top}. Put it elsewhere in the "
                    f"Dockerfile: below /opt, /app or /usr/local{_advice(step)}",
                    hidden=True,
                )
        if file is None:
            raise CommandError(
                f"runs {name}{why}, and {place} is a link to {steps[-1]}, which is not there. Correct the link in the "
                "Dockerfile"
            )
        if not file.is_file() or not file.stat().st_mode & stat.S_IXUSR:
            raise CommandError(
                f"runs {name}{why}, and {place} is no executable file. Add `RUN chmod 755 {place}` to the Dockerfile"
            )
        line = _shebang(file)
        if line is None:
            return
        if line.endswith("\r"):
            raise CommandError(
                f"runs {name}, and the first line of {place} ends in \\r, as on Windows: the interpreter would be "
                f"{line!r}. Save the file with Unix line ends (.gitattributes: `*.sh text eol=lf`)"
            )
        words = line.split()
        if not words:
            return
        by_env = PurePosixPath(words[0]).name == "env" and _wrapped([word for word in words[1:] if word != "-S"])
        wanted, why = (by_env or words)[0], f", whose first line is `#!{line}`"


def _advice(step: str) -> str:
    return " (uv's interpreter: `ENV UV_PYTHON_INSTALL_DIR=/opt/python`)" if "/uv/" in step else ""


def _shebang(file: Path) -> str | None:
    with file.open("rb") as opened:
        start = opened.read(256)
    if not start.startswith(b"#!"):
        return None
    return start[2:].partition(b"\n")[0].decode(errors="replace").lstrip(" ").rstrip(" ")


def find(tree: Path, name: str, path: str, workdir: str) -> str | None:
    """Where a program is in the image, whether or not what it links to exists; None if it is nowhere."""
    if "/" in name:
        places = [name if name.startswith("/") else f"{workdir.rstrip('/')}/{name}"]
    else:
        places = [f"{folder.rstrip('/')}/{name}" for folder in path.split(":") if folder.startswith("/")]
    return next((place for place in places if _is_there(tree, place)), None)


def _is_there(tree: Path, place: str) -> bool:
    folder, steps = trail(tree, str(PurePosixPath(place).parent))
    return os.path.lexists(folder / PurePosixPath(place).name) if folder else any(map(hidden, steps))


def trail(tree: Path, path: str) -> tuple[Path | None, list[str]]:
    """Follow a path as a process inside the tree would.

    Returns the file, None if it leads nowhere; and each path on the way: the one given, then one more per link.
    """
    pending, inside, steps = list(PurePosixPath(path).parts[1:]), PurePosixPath("/"), [path]
    while pending:
        part = pending.pop(0)
        if part == "..":
            inside = inside.parent
            continue
        here = tree / str(inside / part).lstrip("/")
        if here.is_symlink():
            if len(steps) > MAX_LINKS:
                return None, steps
            target = PurePosixPath(here.readlink())
            base = PurePosixPath("/") if target.is_absolute() else inside
            pending = [each for each in target.parts if each != "/"] + pending
            inside = base
            steps.append(os.path.normpath(str(base.joinpath(*pending))))
        elif here.exists():
            inside /= part
        else:
            return None, steps
    return tree / str(inside).lstrip("/"), steps


def hidden(path: str) -> str | None:
    """The folder that the sandbox hides and the path is in."""
    return next((folder for folder in HIDDEN if f"{path}/".startswith(f"/{folder}/")), None)


def hidden_notes(tree: Path) -> list[str]:
    """What the image has much of where the app will not see it."""
    notes = []
    for folder in HIDDEN:
        sizes: dict[str, int] = {}
        for root, _, files in os.walk(tree / folder):
            inside = PurePosixPath("/", Path(root).relative_to(tree))
            key = str(PurePosixPath(*inside.parts[: len(PurePosixPath(folder).parts) + 3]))
            sizes[key] = sizes.get(key, 0) + sum((Path(root) / file).lstat().st_size for file in files)
        total = sum(sizes.values())
        if total >= NOTED_BYTES:
            largest = max(sizes, key=lambda key: sizes[key])
            notes.append(
                f"The image has {total / 1024**2:.0f} MB in /{folder} (most in {largest}), which the sandbox hides: "
                "what the app needs of it belongs below /app or /opt."
            )
    return notes
