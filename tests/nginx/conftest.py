"""A real nginx with Slipway's configuration before a real uvicorn."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import uvicorn
import yaml

from slipway.units.nginx import KINDS
from tests.nginx.streaming_app import app

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "ansible/roles/nginx"
NAME = "app.example"
DEFAULTS = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
    "nginx_client_scheme": "http",
    "app_request_timeout": 1,
    "app_ready_path": "/readyz",
    "app_probe_host": NAME,
    "nginx_server_names": [NAME, "127.0.0.1", "localhost"],
    "__nginx_generation": "tests",
}


@dataclass(frozen=True)
class Site:
    """Where nginx serves one configuration."""

    port: int
    scheme: str
    folder: Path

    @property
    def url(self) -> str:
        """The address of the site."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def plain_port(self) -> int:
        """The port for HTTP, which redirects if the site has HTTPS."""
        port = re.search(r":(\d+)", (self.folder / "nginx/slipway/generated/listen-http.conf").read_text())
        assert port
        return int(port[1])

    @property
    def plain_url(self) -> str:
        """The address of the site by HTTP."""
        return f"http://127.0.0.1:{self.plain_port}"


def wait_for(path: Path | tuple[str, int], family: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(family) as client:
            if not client.connect_ex(path if isinstance(path, tuple) else str(path)):
                return
        time.sleep(0.02)
    pytest.fail(f"nothing listens on {path}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_configuration(folder: Path, variables: dict[str, Any], port: int) -> Path:
    """Write what a host has, with other paths and ports. Returns nginx.conf."""
    etc = folder / "nginx"
    shutil.copytree(ROOT / "nginx", etc / "slipway")
    for name in ("nginx.conf", "site.d"):
        (etc / "slipway" / name).rename(etc / name)
    tls = variables["nginx_tls"] != "none"
    shutil.copy(etc / f"slipway/servers/{KINDS[variables['nginx_tls']]}.conf", etc / "slipway/server.conf")
    jinja = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    jinja.filters["bool"] = bool
    for name in ("values", "page-timeout", "trusted-proxies", "server-names", "certificate", "acme"):
        target = etc / f"slipway/generated/{name}.conf"
        target.parent.mkdir(exist_ok=True)
        target.write_text(jinja.from_string((ROLE / f"templates/{name}.conf.j2").read_text()).render(variables))
    # With TLS, http has a port of its own.
    ports = {"http": free_port() if tls else port, "https": port}
    for scheme, option in (("http", ""), ("https", " ssl http2")):
        for kind, default in (("", ""), ("-default", " default_server")):
            listen = f"listen 127.0.0.1:{ports[scheme]}{option}{default};\n"
            (etc / f"slipway/generated/listen-{scheme}{kind}.conf").write_text(listen)
    (etc / "site.d/http-temporary.conf").write_text(
        "".join(f"{each}_temp_path {folder}/{each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    )
    (etc / "mime.types").write_text("types {}\n")
    for file in etc.rglob("*.conf"):
        text = file.read_text()
        for path, here in (
            ("/etc/nginx/", f"{etc}/"),
            ("/srv/app/", f"{folder}/"),
            ("/var/log/nginx", str(folder)),
            ("/var/lib/nginx-acme/", f"{folder}/"),
        ):
            text = text.replace(path, here)
        file.write_text(text.replace("/run/nginx/nginx.pid", f"{folder}/nginx.pid"))
    if os.geteuid() == 0:
        (etc / "nginx.conf").write_text("user root;\n" + (etc / "nginx.conf").read_text())
    return etc / "nginx.conf"


@pytest.fixture(scope="session")
def app_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The app, on a unix socket, with the unit's FORWARDED_ALLOW_IPS."""
    path = tmp_path_factory.mktemp("app") / "app.sock"
    server = uvicorn.Server(
        uvicorn.Config(app, uds=str(path), forwarded_allow_ips="*", log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(path, socket.AF_UNIX)
    yield path
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory, app_socket: Path) -> Iterator[Callable[..., Site]]:
    """Start nginx with the role's defaults and the variables given; once for each set of them."""
    sites: dict[str, Site] = {}
    processes: list[subprocess.Popen[bytes]] = []

    def start(prepare: Callable[[Path], None] = lambda etc: None, **variables: Any) -> Site:
        key = repr(sorted(variables.items()))
        if key not in sites:
            folder, port = tmp_path_factory.mktemp("site"), free_port()
            for name in ("live.sock", "canary.sock"):
                (folder / name).symlink_to(variables.get("app_socket", app_socket))
            configuration = write_configuration(folder, DEFAULTS | variables, port)
            prepare(configuration.parent)
            command = ["nginx", "-c", str(configuration), "-e", str(folder / "error.log"), "-g", "daemon off;"]
            processes.append(subprocess.Popen(command))
            wait_for(("127.0.0.1", port), socket.AF_INET)
            sites[key] = Site(port, "http" if variables.get("nginx_tls", "none") == "none" else "https", folder)
        return sites[key]

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def site(serve: Callable[..., Site]) -> Site:
    """Plain http with the role's defaults."""
    return serve()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate for the site's name and 127.0.0.1, as variables of the role."""
    folder = tmp_path_factory.mktemp("tls")
    files = {"nginx_tls_certificate": str(folder / "certificate.pem"), "nginx_tls_key": str(folder / "key.pem")}
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            "-subj",
            f"/CN={NAME}",
            "-addext",
            f"subjectAltName=DNS:{NAME},IP:127.0.0.1",
            "-keyout",
            files["nginx_tls_key"],
            "-out",
            files["nginx_tls_certificate"],
        ],
        check=True,
        capture_output=True,
    )
    return files
