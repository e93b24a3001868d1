"""What is recorded: one program per restriction of the sandbox and per line of the contract, and what its cause must name."""

from dataclasses import dataclass, field
from pathlib import Path

MESSAGES = Path(__file__).with_name("messages")
PYTHON = "/usr/bin/python3 programs.py"
UVICORN = "uvicorn --fd 3 web:app"
POSTGRESQL = "BindReadOnlyPaths=/run/postgresql"


@dataclass(frozen=True)
class Case:
    """A program that fails, and what a person has to be told of it."""

    name: str
    command: str
    """As CMD's exec form, its words separated by blanks; with a leading `$` as its shell form."""
    needs: tuple[str, ...]
    """Each is in the advice. Empty: nobody knows the cause, and the lines say all there is."""
    shown: tuple[str, ...] = ()
    """Each is in the lines that follow the advice."""
    egress: str = "none"
    variables: dict[str, str] = field(default_factory=dict)
    """The role's: app_memory_max and the like."""
    environment: dict[str, str] = field(default_factory=dict)
    unit: tuple[str, ...] = ()
    """More lines of the unit's [Service]."""
    seconds: float = 60
    """How long it may run before its messages are taken; most have ended long before."""

    @property
    def file(self) -> Path:
        """Where its messages are recorded."""
        return MESSAGES / f"{self.name}.txt"

    @property
    def cmd(self) -> list[str]:
        """CMD as the image's configuration has it."""
        return ["/bin/sh", "-c", self.command[1:]] if self.command.startswith("$") else self.command.split()

    def recorded(self) -> list[str]:
        """The lines that the unit wrote; those before the first empty one say where they are from."""
        return self.file.read_text().partition("\n\n")[2].splitlines()


def program(function: str, *needs: str, name: str = "", shown: tuple[str, ...] = (), **others: object) -> Case:
    """A case of a function of programs.py."""
    return Case(name or function.replace("_", "-"), f"{PYTHON} {function}", needs, shown, **others)  # type: ignore[arg-type]


def app(function: str, command: str, name: str, *needs: str, **others: object) -> Case:
    """A case of the web app that a function of programs.py ends at import."""
    return Case(name, command, needs, environment={"CAUSE": function}, **others)  # type: ignore[arg-type]


WORKER = "uvicorn.workers.UvicornWorker"
OWN_NETWORK = ("network of its own", "192.0.2.9", "0.0.0.0:$PORT")
IN_USE = ("8000 already", "one server")
SETTINGS = ("database_url", "secret_key", "settings.env", "app_secrets")

CASES = (
    # Servers that cannot listen, in a network of their own. On any port of 0.0.0.0, 127.0.0.1 and [::] they can.
    Case("uvicorn-address", "uvicorn web:app --host 192.0.2.9", OWN_NETWORK),
    Case("uvicorn-address-asyncio", "uvicorn web:app --host 192.0.2.9 --loop asyncio", OWN_NETWORK),
    Case("gunicorn-address", f"$gunicorn -k {WORKER} -b 192.0.2.9:8000 web:app; exit $?", OWN_NETWORK),
    Case("gunicorn-twice", f"$gunicorn -k {WORKER} -b :8000 web:app & sleep 3; uvicorn web:app; kill $!", IN_USE),
    Case("gunicorn-in-use", f"$uvicorn web:app & sleep 3; gunicorn -k {WORKER} -b :8000 web:app; kill $!", IN_USE),
    Case("fastapi-address", "/opt/cli/bin/fastapi run --host 192.0.2.9 web.py", OWN_NETWORK),
    # What listens well ends when it is stopped; that nobody reaches it is the engine's to tell.
    Case("privileged-port", "timeout -s INT 3 uvicorn web:app --host 127.0.0.1 --port 80", ()),
    program("port_in_use", *IN_USE),
    # Files
    program("write_in_image", "cache", "$STATE_DIRECTORY", "app_writable"),
    program("write_log", "/var/log/shop.log", "stdout"),
    program("write_bytecode_cache", "/opt/zones", "$STATE_DIRECTORY"),
    program("write_run", "/run/shop.pid", "/tmp"),
    program("sqlite_in_image", "SQLite", "$STATE_DIRECTORY"),
    program("sqlite_readonly", "SQLite", "$STATE_DIRECTORY"),
    program("not_mine", "/var/lib/app/cache/x"),
    program("missing_file", "/app/config.yaml", "COPY"),
    program("model_in_root", "/root/.cache/huggingface/hub/model.safetensors", "hides"),
    program("model_in_home", "/home/app/.cache/torch/model.pt", "hides"),
    program("tmp_of_the_build", "/tmp/model.bin", "hides"),
    program("shm_full", "/dev/shm", "64"),
    program("pool", "/app/rates.csv", "COPY"),
    Case(
        "shell-write",
        "$echo 1 > /app/version.txt && exec uvicorn --fd 3 web:app",
        ("/app/version.txt", "$STATE_DIRECTORY"),
    ),
    Case(
        "node-write",
        "$exec node -e \"require('fs').mkdirSync('/app/uploads')\"",
        ("/app/uploads", "$STATE_DIRECTORY"),
        variables={"app_allow_jit": "true"},
    ),
    Case(
        "gunicorn-pid",
        "gunicorn -k uvicorn.workers.UvicornWorker --pid /run/gunicorn/app.pid web:app",
        ("/run/gunicorn",),
    ),
    # What it runs
    Case("interpreter-in-root", "/opt/linked/bin/python3 -m uvicorn web:app", ("/root", "hides")),
    Case("venv-in-home", "/home/app/venv/bin/python3 -m uvicorn web:app", ("/home/app/venv/bin/python3", "hides")),
    Case("shebang-in-home", "tool", ("tool", "#!")),
    Case("no-command", "hypercorn web:app", ("hypercorn", "image")),
    Case("no-command-in-shell", "$hypercorn web:app", ("hypercorn", "image")),
    Case("windows-script", "windows", ("windows", "line")),
    Case("not-executable", "/usr/local/bin/plain", ("/usr/local/bin/plain", "chmod")),
    Case("no-server", "/opt/empty/bin/python3 -m uvicorn web:app", ("uvicorn", "image")),
    program("tmp_exec", "/tmp/tool", "app_allow_jit"),
    program("shm_exec", "/dev/shm/true"),
    program("tmp_library", "/tmp/libz.so", "app_allow_jit"),
    # Memory and limits
    program("cffi_callback", "app_allow_jit"),
    program("map_executable", "app_allow_jit"),
    Case("node-jit", "$exec node -e 'console.log(1)'", ("app_allow_jit",)),
    program("out_of_memory", "app_memory_max", unit=("LimitAS=200M",)),
    # As the OOM killer does it: the machine that records this may have no memory controller.
    program("killed", "app_memory_max"),
    app("killed", "gunicorn -k uvicorn.workers.UvicornWorker web:app", "killed-gunicorn", "app_memory_max", seconds=40),
    program("psycopg_python", "psycopg[binary]", environment={"PSYCOPG_IMPL": "python"}),
    program("threads", "TasksMax", unit=("TasksMax=200",)),
    program("open_files", "LimitNOFILE"),
    # Privileges
    Case("gosu", "gosu shop uvicorn --fd 3 web:app", ("gosu", "ordinary user")),
    Case("setpriv", "setpriv --reuid=1000 --clear-groups uvicorn --fd 3 web:app", ("setpriv", "ordinary user")),
    Case("su", "su shop -c true", ("su", "ordinary user")),
    Case(
        "entrypoint-chown",
        "$set -e; mkdir -p /tmp/data; chown -R shop /tmp/data; exec uvicorn --fd 3 web:app",
        ("chown", "ordinary user"),
    ),
    program("chown", "chown", "ordinary user"),
    program("setuid", "setuid", "ordinary user"),
    program("setgroups", "setgroups", "ordinary user"),
    program("set_id_bit", "set-id"),
    program("nice", "nice"),
    program("affinity", "sched_setaffinity"),
    program("limits", "setrlimit", "LimitNOFILE"),
    program("realtime", "sched_setscheduler"),
    program("device", "mknod"),
    program("hostname", "sethostname"),
    program("namespace", "unshare"),
    Case("mount", "mount -t tmpfs none /mnt", ("mount",)),
    program("memfd", "memfd_create", "app_allow_jit"),
    program("ring", "io_uring"),
    program("keyring", "add_key"),
    program("raw_socket", "SOCK_RAW"),
    program("raw_socket", "SOCK_RAW", name="raw-socket-allowed", egress="host"),
    program("bluetooth", "AF_NETLINK"),
    # /proc
    program("cpu_percent", "/proc/stat"),
    program("memory", "/proc/meminfo"),
    program("uptime", "/proc/uptime"),
    # Networks
    program("name", "name", "app_egress"),
    program("address", "app_egress"),
    program("refused", "app_egress"),
    program("refused", "127.0.0.1", "6379", name="refused-on-the-host", egress="host"),
    Case(
        "node-fetch",
        "$exec node -e \"fetch('https://prices.example.com').catch(e => { console.error(e); process.exit(1) })\"",
        ("app_egress",),
        variables={"app_allow_jit": "true"},
    ),
    # Settings
    program("settings", *SETTINGS, "SHOP_API_KEY", "smtp_port"),
    app("settings", UVICORN, "settings-uvicorn", *SETTINGS),
    app("settings", "gunicorn -k uvicorn.workers.UvicornWorker -w 4 web:app", "settings-gunicorn", *SETTINGS),
    app("settings", "/opt/cli/bin/uvicorn --fd 3 web:app", "settings-uvicorn-new", *SETTINGS),
    app("settings", "/opt/cli/bin/fastapi run web.py", "settings-fastapi-run", *SETTINGS),
    program("settings_value", "workers", "database_url", "settings.env"),
    program("settings_list", "allowed_hosts", "JSON"),
    program("settings_1", *SETTINGS),
    program("environ", "PAYMENT_URL", "settings.env"),
    program("starlette_config", "SECRET_KEY", "settings.env"),
    # Imports
    program("missing_module", "stripe"),
    app("missing_module", UVICORN, "missing-module-uvicorn", "stripe"),
    program("missing_name", "FastApi", "fastapi"),
    program("syntax", "/app/unparsable.py", "line 3"),
    program("missing_library", "libmagic.so.1", "Dockerfile"),
    Case("uvicorn-module", "uvicorn --fd 3 main:app", ("main", "WORKDIR")),
    Case("uvicorn-attribute", "uvicorn --fd 3 web:application", ("application", "web")),
    Case("gunicorn-module", "gunicorn -k uvicorn.workers.UvicornWorker main:app", ("main", "WORKDIR")),
    Case("gunicorn-attribute", "gunicorn -k uvicorn.workers.UvicornWorker web:application", ("application", "web")),
    Case("gunicorn-worker-class", "gunicorn -k gevent web:app", ("gevent",)),
    # Databases
    program("peer", "postgres", "app_migrate", unit=(POSTGRESQL,)),
    program("peer_asyncpg", "postgres", "app_migrate", unit=(POSTGRESQL,)),
    program("role", "shop", unit=(POSTGRESQL,)),
    program("database", "shop", unit=(POSTGRESQL,)),
    program("tcp_psycopg2", "app_egress"),
    program("tcp_asyncpg", "app_egress"),
    program("password", "app", egress="host"),
    program("create_all", "release:", unit=(POSTGRESQL,)),
    program("create_all_async", "release:", unit=(POSTGRESQL,)),
    program("alter", "theirs", "release:", unit=(POSTGRESQL,)),
    program("relation", "orders", "release:", unit=(POSTGRESQL,)),
    program("sqlite_relation", "orders", "release:"),
    program("connections", "DATABASE_CONNECTIONS", unit=(POSTGRESQL,)),
    Case("no-server-socket", f"{PYTHON} peer", ("/run/postgresql", "app_database")),
    program("sync_driver", "postgresql+asyncpg://"),
    program("old_scheme", "postgresql://"),
    program("missing_driver", "pg8000"),
    Case("alembic-revision", "alembic upgrade head", ("9f8e7d6c5b4a",), environment={"AHEAD": "1"}),
    Case("alembic-heads", "alembic -c heads.ini upgrade head", ("alembic merge",)),
    Case("alembic-behind", "alembic check", ("release:",)),
    Case("alembic-no-configuration", "alembic -c nowhere.ini upgrade head", ("script_location",)),
    Case(
        "alembic-refused",
        "alembic upgrade head",
        ("release:",),
        unit=(POSTGRESQL,),
        environment={"DATABASE_URL": "postgresql+psycopg://app@/app?host=/run/postgresql"},
    ),
    # What ends without a word, and what nobody knows
    program("segfault", "SIGSEGV"),
    program("silent"),
    program("licence", shown=("RuntimeError: the licence has expired",)),
    program("handled", shown=("RuntimeError: the licence has expired",)),
    app("licence", UVICORN, "licence-uvicorn"),
)
