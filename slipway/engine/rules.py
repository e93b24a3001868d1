"""What messages mean by their words, and what to type: servers, settings, databases, imports."""

import re
from dataclasses import dataclass, field

from slipway.engine.cause import Cause
from slipway.engine.messages import Message
from slipway.engine.refusals import CALLS, Refusal, listening, not_run, refused

PEER = "PostgreSQL takes the user whom the unit runs as (peer): `app`, and `app_migrate` in `release:`"


@dataclass(frozen=True)
class Rule:
    """A message that is known by its words."""

    kind: str
    says: str
    """Found in the message."""
    advice: str
    """With the names of the expressions' groups in braces."""
    where: str = ""
    """Found in the traceback."""
    flags: int = field(default=re.MULTILINE)

    def cause(self, message: Message) -> Cause | None:
        """The cause if the message is one of these."""
        found = re.search(self.says, message.text, self.flags)
        if not found or (self.where and not re.search(self.where, message.where)):
            return None
        groups = {name: value or "" for name, value in found.groupdict().items()}
        return Cause(self.kind, re.sub(r"\{(\w+)\}", lambda name: groups.get(name[1], name[0]), self.advice))


GIVE = "name it in settings.env, or in app_secrets if it is secret (app_secrets_as_environment if the app reads its environment only)"
RELEASE = (
    "tables are made in `release:` of the Procfile, which runs as their owner: move create_all() or the migration there"
)

WORDS: tuple[Rule, ...] = (
    # Servers and what they load
    Rule(
        "ready",
        r"Could not import module \"(?P<module>[^\"]+)\"",
        "uvicorn found no module {module}: CMD names it as it is called from WORKDIR (package.module:app), and it is copied "
        "into the image",
    ),
    Rule(
        "ready",
        r"Attribute \"(?P<name>[^\"]+)\" not found in module \"(?P<module>[^\"]+)\"",
        "the module {module} has no {name}: CMD names the variable that holds the app, as in `{module}:app`",
    ),
    Rule(
        "ready",
        r"Failed to find attribute '(?P<name>[^']+)' in '(?P<module>[^']+)'",
        "the module {module} has no {name}: CMD names the variable that holds the app, as in `{module}:app`",
    ),
    Rule(
        "ready",
        r"No module named '?(?P<module>[\w.]+)'?",
        "there is no module {module} for gunicorn: CMD names it as it is called from WORKDIR (package.module:app), and it is "
        "copied into the image",
        where=r"in import_app(?![\s\S]*exec_module)[\s\S]*_find_and_load_unlocked\Z",
    ),
    Rule(
        "ready",
        r"(?P<python>\S*python[\d.]*): No module named '?(?P<module>[\w.]+)",
        "{python} of the image has no {module}: install it in the Dockerfile, for this interpreter",
    ),
    Rule(
        "ready",
        r"class uri '?(?P<name>[^' ]+)'? invalid or not found|(?P<worker>\w+) worker requires",
        "gunicorn cannot load the worker {name}{worker}: install its package in the Dockerfile, or choose another worker class",
    ),
    # Memory that is executed
    Rule(
        "ready",
        r"couldn't import (requested )?psycopg 'python' implementation:(\s|$)",
        "psycopg without its compiled part makes memory executable: install psycopg[binary] or psycopg[c] in the Dockerfile, "
        "or set `app_allow_jit: true`",
    ),
    Rule(
        "ready",
        r"write\+execute memory|cannot enable executable|mprotect|Cannot allocate executable memory|"
        r"v8::|Fatal JavaScript|Unable to allocate section memory|CodeRange|failed to allocate executable|SetPermissions",
        "the app makes memory executable, as a JIT does: set `app_allow_jit: true`",
    ),
    Rule(
        "ready",
        r"(?P<path>/\S*)?:? ?failed to map segment from shared object",
        "the app loads a library that it wrote itself ({path}), and nothing that it writes may be executed: set "
        "`app_allow_jit: true`, or have it in the image",
    ),
    Rule(
        "ready",
        r"(?s).*",
        "the app makes memory executable, as a JIT does: set `app_allow_jit: true`",
        where=r"PROT_EXEC",
    ),
    # Memory and limits
    Rule(
        "ready",
        r"OOM killer|oom-kill|Perhaps out of memory|out of memory|Out of memory|^MemoryError|Cannot allocate memory|"
        r"status=9/KILL",
        "the app was killed or refused memory, and `app_memory_max` bounds all of its processes together: raise it, or start "
        "fewer workers (app_workers)",
    ),
    Rule(
        "ready",
        r"can't start new thread|pthread_create|Resource temporarily unavailable.*fork|fork.*Resource temporarily|"
        r"BlockingIOError: \[Errno 11\]",
        "the app has as many threads and processes as its unit may have: start fewer, or raise TasksMax= in a drop-in "
        "50-site.conf",
    ),
    Rule(
        "ready",
        r"Too many open files|EMFILE",
        "the app holds as many files and sockets open as a process may (LimitNOFILE=65536): close them, or raise it in a "
        "drop-in 50-site.conf",
    ),
    Rule(
        "ready",
        r"not allowed to raise maximum limit|current limit exceeds maximum limit",
        CALLS["setrlimit"].replace("{call}", "setrlimit"),
    ),
    Rule(
        "ready",
        r"status=7/BUS|SIGBUS|[Bb]us error",
        "SIGBUS: a memory map ran out of room; /dev/shm holds 64 MB, what is larger belongs into $STATE_DIRECTORY or /tmp",
    ),
    Rule(
        "ready",
        r"status=31/SYS|SIGSYS|Bad system call",
        "the sandbox forbids a system call that the app made: allow it with SystemCallFilter= in a drop-in 50-site.conf",
    ),
    Rule(
        "ready",
        r"status=11/SEGV|Segmentation fault|status=6/ABRT|status=4/ILL",
        "the program itself crashed (SIGSEGV, SIGABRT or SIGILL), in compiled code: set PYTHONFAULTHANDLER=1 in settings.env "
        "and deploy again to see where",
    ),
    # Settings
    Rule(
        "ready",
        r"error parsing value for field \"(?P<name>[^\"]+)\"",
        "the setting {name} is a list or a mapping, which pydantic-settings reads as JSON: write it so in settings.env, as in "
        '["shop.example"]',
    ),
    Rule(
        "ready",
        r"Config '(?P<name>[^']+)' is missing|(?:^|: )(?P<other>\w+) not found\. Declare it as|"
        r"Environment variable \"?(?P<third>\w+)\"? not set|Set the (?P<fourth>\w+) environment variable",
        f"the setting {{name}}{{other}}{{third}}{{fourth}} is missing: {GIVE}",
    ),
    Rule(
        "ready",
        r"^KeyError: '(?P<name>\w+)'",
        f"the setting {{name}} is missing from the environment: {GIVE}",
        where=r"os\.environ\[|(<frozen os>|/os\.py)\", line \d+, in __getitem__",
    ),
    # Databases
    Rule(
        "ready",
        r"Peer authentication failed for user \"(?P<user>[^\"]+)\"",
        f"the app connects as {{user}}, and {PEER}: leave the user out of the URL, or take DATABASE_URL as the unit sets it",
    ),
    Rule(
        "ready",
        r"no pg_hba\.conf entry for (?P<what>[^\n]*)",
        f"PostgreSQL knows no {{what}}; {PEER}, and the database `app`: take DATABASE_URL as the unit sets it",
    ),
    Rule(
        "ready",
        r"role \"(?P<user>[^\"]+)\" does not exist",
        f"PostgreSQL has no role {{user}}; {PEER}: take DATABASE_URL as the unit sets it",
    ),
    Rule(
        "ready",
        r"database \"(?P<name>[^\"]+)\" does not exist",
        "PostgreSQL has no database {name}, the app's is `app`: take DATABASE_URL as the unit sets it",
    ),
    Rule(
        "ready",
        r"password authentication failed for user \"(?P<user>[^\"]+)\"",
        "PostgreSQL does not know this password of {user}: on the same host none is needed over /run/postgresql; else correct "
        "it in app_secrets",
    ),
    Rule(
        "ready",
        r"(permission denied for (?P<what>schema|table|sequence|database|relation) (?P<name>\w+)|must be owner of (?P<kind>\w+) (?P<other>\w+))",
        f"the app's role may use rows and not change {{what}}{{kind}} {{name}}{{other}}: {RELEASE}",
    ),
    Rule(
        "ready",
        r"relation \"(?P<name>[^\"]+)\" does not exist|no such table: (?P<table>\S+)|Table '(?P<mysql>[^']+)' doesn't exist",
        "the database has no table {name}{table}{mysql}: let `release:` of the Procfile make it (alembic upgrade head)",
    ),
    Rule(
        "ready",
        r"too many connections|remaining connection slots|too many clients",
        "the database allows no more connections: hold at most DATABASE_CONNECTIONS in all workers together (docs/how-to/use-postgresql.md)",
    ),
    Rule(
        "ready",
        r"requires an async driver to be used\. The loaded '(?P<name>[^']+)' is not async",
        "SQLAlchemy's asyncio got the driver {name}: let the URL begin with postgresql+asyncpg:// or postgresql+psycopg://",
    ),
    Rule(
        "ready",
        r"Can't load plugin: sqlalchemy\.dialects:postgres$",
        "SQLAlchemy knows postgres:// no longer: let the URL begin with postgresql:// or postgresql+psycopg://",
    ),
    Rule(
        "ready",
        r"Can't load plugin: (?P<name>\S+)",
        "SQLAlchemy has no {name}: correct the URL's scheme, or install the driver in the Dockerfile",
    ),
    Rule(
        "writes",
        r"unable to open database file|attempt to write a readonly database|readonly database",
        "SQLite's file and its folder must be writable: put it below $STATE_DIRECTORY, or name its folder in app_writable",
    ),
    Rule(
        "ready",
        r"socket \"(?P<path>/[^\"]*)\" failed: No such file",
        "there is no PostgreSQL at {path}: /run/postgresql is there if `app_database` is `data` (a host in the group data)",
    ),
    Rule(
        "procfile",
        r"Can't locate revision identified by '(?P<name>[^']+)'",
        "the database is at revision {name}, which this image does not have: it was migrated by a newer release; deploy that "
        "one, or add the file of the revision",
    ),
    Rule(
        "procfile",
        r"Multiple head revisions",
        "the migrations have two heads: join them with `alembic merge heads`, and commit the file",
    ),
    Rule(
        "procfile",
        r"Target database is not up to date",
        "the database is behind the image: let `release:` of the Procfile run `alembic upgrade head`",
    ),
    Rule(
        "procfile",
        r"No config file '(?P<name>[^']+)' found|No 'script_location' key found",
        "alembic finds no {name} with script_location in WORKDIR: copy it into the image, or name it with -c",
    ),
    # Networks
    Rule(
        "ready",
        r"Temporary failure in name resolution|EAI_AGAIN|Name or service not known|No address associated with hostname|"
        r"dial tcp: lookup|ENOTFOUND",
        "the app looked up a name, and what it may reach is `app_egress`: set it to host, networks or internet",
    ),
    # Imports
    Rule(
        "procfile",
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "alembic finds no module {module}: if it is in WORKDIR, add `prepend_sys_path = .` to alembic.ini; else add its package "
        "to the requirements",
        where=r'/env\.py", line \d+, in <module>(?![\s\S]*File ")',
    ),
    Rule(
        "ready",
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'|Cannot find module '(?P<node>[^']+)'",
        "the image has no module {module}{node}: add its package to the requirements, or copy it in the Dockerfile; a module in "
        "/home or /root is hidden",
    ),
    Rule(
        "ready",
        r"cannot import name '[^']+' from partially initialized module '(?P<module>[^']+)'",
        "{module} and a module that it imports import each other: move one of the two imports into the function that uses it",
    ),
    Rule(
        "ready",
        r"cannot import name '(?P<name>[^']+)' from '[^']+' \((?P<file>(?!\S*/(?:site|dist)-packages/|/usr/\S*lib/)/[^)]+)\)",
        "{file} has no {name}: correct the name there or in the import",
    ),
    Rule(
        "ready",
        r"cannot import name '(?P<name>[^']+)' from '(?P<module>[^']+)'",
        "{module} of the image has no {name}: the installed version has another, or two modules import each other; pin it in "
        "the requirements",
    ),
    Rule(
        "ready",
        r"(?P<file>lib[\w.+-]+\.so[\w.]*): cannot open shared object file",
        "the image has no {file}: install the package that has it in the Dockerfile (apt-get install)",
    ),
    Rule(
        "ready",
        r"version `(?P<name>GLIBC\S*)' not found",
        "the image's libc is older than {name}, which a library needs: install and run on the same base image",
    ),
)
"""Known by what they say, the narrowest first."""


NO_SOCKET = r"URL scheme should be 'rediss?'|URL scheme not permitted.*redis"
"""What pydantic's RedisDsn says of a unix socket."""


def validation(message: Message) -> Cause | None:
    """Settings that pydantic 1 or 2 does not take: their names stand below the exception."""
    if not (head := re.search(r"\d+ validation errors? for (\w+)", message.text)):
        return None
    fields = re.findall(r"^(\w[\w.-]*)\n\s+(.+)", message.text[head.end() :].lstrip("\n"), re.MULTILINE)
    missing = [name for name, why in fields if re.search(r"missing|required", why, re.I)]
    wrong = [
        f"{name} ({why.partition(' [type=')[0].partition(' (type=')[0]})" for name, why in fields if name not in missing
    ]
    parts = []
    if missing:
        parts.append(
            f"{head[1]} has no {', '.join(missing)}: name each in settings.env, or in app_secrets if it is secret"
        )
    if wrong:
        broker = (
            ". The broker beside the app has a port with app_data_access: tcp"
            if re.search(NO_SOCKET, message.text)
            else ""
        )
        parts.append(f"{head[1]} does not take {'; '.join(wrong)}: correct it in settings.env or app_secrets{broker}")
    return Cause("ready", "; ".join(parts)) if parts else None


def syntax(message: Message) -> Cause | None:
    """A file that Python cannot read."""
    if not (found := re.search(r"^(SyntaxError|IndentationError|TabError): (.*)", message.text, re.MULTILINE)):
        return None
    place = re.findall(r'File "([^"]+)", line (\d+)', f"{message.where}\n{message.text}")
    file, line = place[-1] if place else ("a file", "?")
    return Cause(
        "ready",
        f"{file}, line {line} is not Python for the image's interpreter ({found[2]}): correct it, or take a newer Python",
    )


GENERAL: tuple[Rule, ...] = (
    Rule(
        "ready",
        r"Operation not permitted|EPERM",
        "the sandbox forbids what the app tried: docs/reference/contract.md lists what it may do",
    ),
)
"""Where only the error is known."""


def known(message: Message) -> Cause | None:
    """The cause of a message by its words, or by the kernel's error in it."""
    if cause := validation(message) or syntax(message):
        return cause
    refusal = Refusal.of(message)
    if cause := listening(message, refusal):
        return cause
    if cause := next((cause for rule in WORDS if (cause := rule.cause(message))), None):
        return cause
    return not_run(message) or refused(message, refusal)
