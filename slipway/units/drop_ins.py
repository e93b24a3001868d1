"""The text of what follows from variables: drop-ins and timers. What does not is in systemd/, as it stands."""

from pathlib import PurePosixPath

from slipway.units import budget
from slipway.units.data import BROKER_PORT, MIGRATION_SECRET, PORT, SECRET, Access, assignments, environment
from slipway.units.site import Job, Site


def _text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def settings(site: Site, memory_max: str, timeout: str) -> str:
    """Render 30-settings.conf of a unit: its memory, its timeout (a whole line), and what the app is told."""
    own = memory_max == site.memory_max
    # None by default: slowed down near its limit, a leak kept a site of one core silent for seven minutes before it was
    # killed; killed at once, the next process served after 48 s (tests/vm/test_memory.py).
    memory_high = (site.memory_high if own else "") or "infinity"
    swap_max = (site.swap_max if own else "") or budget.swap(memory_max)
    lines = [
        "# Managed by Slipway: the variables app_*.",
        "[Service]",
        "# A leak uses a part of the swap, and then ends this unit and nobody else.",
        f"MemoryMax={memory_max}",
        f"MemoryHigh={memory_high}",
        f"MemorySwapMax={swap_max}",
        f"Environment=MEMORY_MAX={memory_max}",
        f"Environment=WORKLOAD={site.workload}",
    ]
    if site.workers:
        lines.append(f"Environment=WEB_CONCURRENCY={site.workers}")
    seconds = site.request_timeout
    lines += [
        f"Environment=APP_PRELOAD={str(site.preload).lower()}",
        "# nginx is the only one who can connect, so the addresses that it forwards are believed.",
        "Environment=FORWARDED_ALLOW_IPS=*",
        f'Environment="GUNICORN_CMD_ARGS=--timeout {seconds} --graceful-timeout {seconds} --worker-tmp-dir /dev/shm"',
    ]
    if site.allow_jit:
        lines += ["MemoryDenyWriteExecute=no", "NoExecPaths=", "SystemCallFilter=memfd_create"]
    lines += [f"LoadCredential={name}:/etc/app/secrets/{name}" for name in sorted(site.secrets, key=str.lower)]
    return _text(*lines, timeout)


def writable(site: Site, unit: str) -> str:
    """Render 35-writable.conf of a unit: the folders of the image that it may write."""
    lines = [
        "# Managed by Slipway: app_writable. PID 1 mounts these as root, so nothing on the way may be a link.",
        "[Unit]",
    ]
    ways = dict.fromkeys(str(part) for path in site.writable for part in (*reversed(PurePosixPath(path).parents), path))
    lines += [f"AssertPathIsSymbolicLink=!/srv/app/sealed/%i{way}" for way in ways if way != "/"]
    lines.append("[Service]")
    for path in site.writable:
        if unit == "migrate" and site.data:
            # Migrations run as another user, who may not read the app's files, and find an empty folder.
            lines.append(f"TemporaryFileSystem={path}:mode=1777,size=64M,nosuid,nodev,noexec")
            continue
        # Not below /var/lib/app: there the app could exchange a folder for a link.
        lines.append(f"BindPaths=/var/lib/app-writable{path}:{path}")
        if not site.allow_jit:
            lines.append(f"NoExecPaths=+{path}")
    if unit == "migrate" and site.data:
        lines.append("Environment=SLIPWAY_FILL=no")
    return _text(*lines)


def networks(site: Site) -> str:
    """Render 21-networks.conf: the addresses that app_egress: networks allows."""
    return _text(
        "# Managed by Slipway: app_egress_networks, and the resolvers of this host.",
        "[Service]",
        *(f"IPAddressAllow={address}" for address in (*site.egress_networks, *site.resolvers)),
    )


def network(site: Site) -> str:
    """Render 20-egress.conf of network@: whether it leads out, and which addresses of the loopback are the host's."""
    whole = {"none": (), "host": ("127.0.0.0/8",), "internet": ("127.0.0.0/8",)}
    allowed = (*site.egress_networks, *site.resolvers)
    loopback = whole.get(site.egress, tuple(address for address in allowed if address.startswith("127.")))
    return _text(
        "# Managed by Slipway: app_egress.",
        "[Service]",
        f"Environment=EGRESS={site.egress}",
        f'Environment="LOOPBACK={" ".join(loopback)}"',
        *([f'Environment="OWN_PORTS={PORT} {BROKER_PORT}"'] if site.data and site.data.proxied else []),
    )


def proxy(timeout: str) -> str:
    """Render 30-settings.conf of proxy@: how long it may take to pass on what the app sent last, as a whole line."""
    return _text("# Managed by Slipway: the variable app_request_timeout.", "[Service]", timeout)


def data(site: Site, unit: str, connections: int) -> str:
    """Render 40-data.conf of a unit: where PostgreSQL and the broker are, and its connections.

    Raises:
        ValueError: the site has no data host.
    """
    if site.data is None:
        raise ValueError(f"{unit} has no 40-data.conf, since the site has no data host. Set app_database: data.")
    migrates = unit == "migrate"
    lines = ["# Managed by Slipway: the group `data`, and the variables data_*."]
    if site.data.proxied:
        sockets = " ".join(f"{name}@%p:%i.socket" for name in data_proxies(site, unit))
        lines += ["[Unit]", f"Requires={sockets}", f"After={sockets}"]
    lines.append("[Service]")
    if site.data.local:
        lines.append("BindReadOnlyPaths=/run/postgresql")
        user = "app_migrate" if migrates else "app"
        access = Access(user, tcp=site.data.proxied, broker=site.data.broker)
        lines += assignments(environment(access, site.data.names))
    else:
        secret = MIGRATION_SECRET if migrates else SECRET
        lines += [
            "# Passwords are in it, and root's alone: PID 1 reads it before it becomes the unit's user.",
            f"EnvironmentFile=/etc/app/secrets/{secret}",
            f"LoadCredential=DATABASE_URL:/etc/app/secrets/{'MIGRATION_DATABASE_URL' if migrates else 'DATABASE_URL'}",
            *(["LoadCredential=BROKER_URL:/etc/app/secrets/BROKER_URL"] if site.data.broker and not migrates else []),
            "BindReadOnlyPaths=/etc/slipway/data:/run/data",
            "Environment=PGSSLMODE=verify-full",
            "Environment=PGSSLROOTCERT=/run/data/ca.pem",
        ]
    if unit == "app":
        lines += [
            "# Of all workers together; see docs/how-to/use-postgresql.md for the sum.",
            f"Environment=DATABASE_CONNECTIONS={site.data.connections}",
        ]
    else:
        lines += ["Environment=WEB_CONCURRENCY=1", f"Environment=DATABASE_CONNECTIONS={max(1, connections)}"]
    if site.data.local and site.data.broker and not migrates:
        lines.append("BindReadOnlyPaths=/run/broker")
    if migrates:
        lines += [
            "# PostgreSQL asks the kernel who connects. The app's own user may read and write rows, and nothing else.",
            "User=app_migrate",
            "Group=app_migrate",
            "# The app's state stays the app's: systemd would give it to whoever is named here.",
            "StateDirectory=",
            "TemporaryFileSystem=/var/lib/app:mode=1777,size=64M,nosuid,nodev,noexec",
            "Environment=STATE_DIRECTORY=/var/lib/app",
        ]
    return _text(*lines)


def migration_user() -> str:
    """Render the drop-in of a proxy that connects to PostgreSQL as the migrations' user."""
    return _text("# Managed by Slipway.", "[Service]", "User=app_migrate", "Group=app_migrate")


def data_proxies(site: Site, unit: str) -> list[str]:
    """The templates that bring the data to the loopback of a unit, without the suffix."""
    if unit == "migrate":
        return ["data-postgres-migrate"]
    return ["data-postgres", "data-broker"] if site.data and site.data.broker else ["data-postgres"]


def timer(job: Job) -> str:
    """Render the timer of a job."""
    return _text(
        "# Managed by Slipway: app_jobs.",
        "[Unit]",
        f"Description=When the job {job.name} is due",
        "",
        "[Timer]",
        f"OnCalendar={job.schedule}",
        "AccuracySec=1s",
        "# Missed while the host was off: once, when it is back.",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )
