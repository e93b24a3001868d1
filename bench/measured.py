"""The app with routes of known cost (app/), on a host with PostgreSQL and a broker, with any number of workers.

It is a release as any other: nginx, a unix socket, the sandbox, the pool. Only how many workers it has is said by a
drop-in, since that needs a restart and no deploy.
"""

from bench.deploying import APP, image
from bench.host import ROOT, Host, run

GROUPS = "app,data"
MEASURED = "slipway-app:bench-measured"
READY = 'from urllib.request import urlopen; urlopen("http://localhost/readyz")'
READY_SECONDS = 30


def deploy(host: Host) -> None:
    """Build it, provision the host, deploy, and install the load generator."""
    image()
    run("docker", "build", "--quiet", f"--build-arg=APP={APP}", f"--tag={MEASURED}", str(ROOT / "bench/app"))
    host.play("site.yml", MEASURED, app_processes=[{"name": "worker"}])
    host.shell("apt-get install -qq -y --no-install-recommends wrk >/dev/null")


def restart(host: Host, workers: int, connections: int) -> None:
    """Run it with so many workers, which share so many connections, and return when it answers."""
    host.shell(f"""
        mkdir -p /run/systemd/system/app@.service.d
        cat > /run/systemd/system/app@.service.d/90-bench.conf <<'END'
[Service]
Environment=WEB_CONCURRENCY={workers} DATABASE_CONNECTIONS={connections}
END
        systemctl daemon-reload
        systemctl restart app@{host.status()["live"]}.service
        for try in $(seq {READY_SECONDS * 10}); do
            python3 -c '{READY}' 2>/dev/null && exit || sleep 0.1
        done
        exit 1
    """)
