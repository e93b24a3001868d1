"""Deploy the app with routes of known cost (app/), with PostgreSQL and a broker, and any number of workers.

The release is like any other: nginx, a unix socket, the sandbox, the pool. Only the number of workers comes from a
drop-in, which needs a restart instead of a deploy.
"""

from labs import images
from labs.bench import deploying, wrk
from labs.host import Host
from tools.checkout import APP_IMAGES

GROUPS = "app,data"
IMAGE = f"{APP_IMAGES}:bench-known-costs"
READY = 'from urllib.request import urlopen; urlopen("http://localhost/readyz")'
READY_SECONDS = 30
DROP_IN = "/run/systemd/system/app@.service.d/90-bench.conf"


def deploy(host: Host) -> None:
    """Build the image, provision the host with it, and install the load generator."""
    deploying.build()
    images.extend_app(IMAGE, deploying.APP, "bench/app")
    host.play("site.yml", release_image=IMAGE, app_processes=[{"name": "worker"}])
    wrk.install(host)


def clean_up(host: Host) -> None:
    """Remove the drop-in of `restart`; the next deploy has the site's number of workers again."""
    host.shell(f"rm -f {DROP_IN} && systemctl daemon-reload")


def restart(host: Host, workers: int, connections: int) -> None:
    """Restart the app with a number of workers that share a number of connections; return when it is ready.

    Raises:
        LabError: it was not ready within READY_SECONDS.
    """
    host.shell(f"""
        mkdir -p $(dirname {DROP_IN})
        cat > {DROP_IN} <<'END'
[Service]
Environment=WEB_CONCURRENCY={workers} DATABASE_CONNECTIONS={connections}
END
        systemctl daemon-reload
        systemctl restart app@{host.status()["live"]}.service
        for attempt in $(seq {READY_SECONDS * 10}); do
            python3 -c '{READY}' 2>/dev/null && exit || sleep 0.1
        done
        echo 'the app is not ready {READY_SECONDS} s after its restart' >&2
        exit 1
    """)
