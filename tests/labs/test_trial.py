"""`make try`: input that is refused before anything is touched, the variants, and the comparison."""

import io
import json
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from labs.baseline import SITE
from labs.command import LabError
from labs.report.outcomes import Outcome
from labs.report.record import Deploy, Track
from labs.trial import __main__ as trial
from labs.trial import cli, layers, variants
from labs.trial.comparison import Way, comparison
from slipway.contract.site import Site
from tests.labs.conftest import BEGIN, request
from tools.checkout import TRIAL


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake docker on PATH that knows one image, `shop`, and logs its arguments to `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    config = {"ExposedPorts": {"9000/tcp": {}, "53/udp": {}}, "Entrypoint": ["serve"], "Cmd": ["--now"]}
    (folder / "inspected").write_text(json.dumps([{"Config": config, "RootFS": {"Layers": ["sha256:a", "sha256:b"]}}]))
    script = folder / "docker"
    script.write_text(f"""#!/bin/sh
echo "$@" >> {folder}/calls
case "$1 $2 $3" in
    "image inspect shop"|"image inspect {TRIAL}:app") cat {folder}/inspected ;;
    "image inspect older") sed 's/, "sha256:b"//' {folder}/inspected ;;
    "save shop ") cat {folder}/saved ;;
    build*) for last; do :; done; cat $last/Dockerfile >> {folder}/dockerfiles ;;
    *) echo "no such object" >&2; exit 1 ;;
esac
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "shopp"], "there is no image shopp on this machine"),
        (["--dockerfile", "/nowhere"], "/nowhere does not exist: DOCKERFILE names"),
        (["--dockerfile", "."], "has no Dockerfile"),
        (["--image", "shop", "--settings", "none.env"], "SETTINGS=none.env: there is no such file"),
        (["--image", "shop", "--paths", "about"], "a path begins with /"),
        (["--image", "shop", "--host", "local", "--with", "valkey"], "a host that runs has its data already"),
        (["--image", "shop", "-e", "app_redy_path=/health"], "is not NAME=VALUE with a variable of the app"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(
    arguments: list[str], message: str, docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=message):
        cli.read(arguments, "")
    calls = (docker / "calls").read_text().splitlines() if (docker / "calls").exists() else []
    assert all(line.startswith("image inspect") for line in calls)


def test_an_image_that_breaks_the_contract_is_not_deployed(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def contract(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        checked.append(command[1:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr("labs.trial.cli.subprocess.run", contract)
    monkeypatch.setattr("labs.trial.cli.inspect", lambda _: {})
    with pytest.raises(LabError, match="nothing was deployed: first mend"):
        cli.read(["--image", "shop", "--ready-path", "/health", "--probe-host", "shop.example"], "")
    assert checked == [["shop", "-e", "app_ready_path=/health", "-e", "app_probe_host=shop.example"]]


def test_the_command_line_becomes_the_hosts_variables(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.trial.cli._check_contract", lambda *_: None)
    (tmp_path / "site.yml").write_text(
        "nginx_server_names: [shop.example]\napp_ready_path: /health\napp_secrets: {KEY: x}\nhost_admin: me\n"
    )
    (tmp_path / "settings.env").write_text('MOTTO="two words"\n')
    request_ = cli.read(
        ["--image", "shop", "-e", f"@{tmp_path}/site.yml", "--settings", f"{tmp_path}/settings.env"], ""
    )
    variables = request_.variables()
    assert variables["app_ready_path"] == "/health"
    assert variables["nginx_server_names"] == ["shop.example", "localhost", "127.0.0.1"]
    assert "host_admin" not in variables
    assert "app_secrets_file" not in variables
    assert (request_.host_header, request_.paths, request_.port) == ("shop.example", ("/health",), 9000)
    assert request_.environment == {"MOTTO": "two words", "KEY": "x"}


@pytest.mark.parametrize("names", [["postgres"], ["postgres", "valkey"]])
def test_data_beside_the_app_are_there_for_the_check_the_host_and_docker_run(
    docker: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    checked: list[object] = []
    monkeypatch.setattr("labs.trial.cli._check_contract", lambda *given: checked.append(given[-1]))
    given = cli.read(["--image", "shop", *(f"--with={name}" for name in names)], "")
    assert checked == [tuple(names)]
    assert given.groups == "app,data"
    assert given.variables()["app_database"] == "data"
    assert given.variables()["data_broker"] is ("valkey" in names)
    app, migrate = given.data_environment("app"), given.data_environment("migrate")
    assert (app["PGUSER"], migrate["PGUSER"]) == ("app", "app_migrate")
    assert ("BROKER_URL" in app) is ("valkey" in names)


def test_a_dockerfile_is_named_by_its_path_or_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.touch()
    assert cli.dockerfile(tmp_path) == cli.dockerfile(file) == file


def test_a_crashing_variant_runs_the_app_until_it_is_killed() -> None:
    started_at = time.monotonic()
    ended = subprocess.run(
        ["/bin/sh", "-c", variants.CRASH, "1", "sh", "-c", "echo $0; exec sleep 30", "serving"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "serving\n"
    assert 0.9 < time.monotonic() - started_at < 10


def test_a_crashing_variant_runs_the_images_own_command(docker: Path) -> None:
    names = variants.Variants(*(f"{TRIAL}:{name}" for name in ("app", "one", "two", "start-failure", "crashing")))
    variants.build_crashing(names, 3)
    command = json.loads((docker / "dockerfiles").read_text().splitlines()[-1].removeprefix("CMD "))
    assert command == ["/bin/sh", "-c", variants.CRASH, "3", "serve", "--now"]


def test_only_new_layers_are_counted(docker: Path) -> None:
    contents = {"a/layer.tar": bytes(1_000_000), "b/layer.tar": b"\x1f\x8b" + bytes(range(100))}
    contents["manifest.json"] = json.dumps([{"Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()
    with tarfile.open(docker / "saved", "w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert layers.transfer("shop", "older") == 102  # gzipped already
    assert 102 < layers.transfer("shop") < 3000  # a million zeros are small


def test_the_baselines_site_has_the_ports_that_are_replaced() -> None:
    assert SITE.count("8080") == 1
    assert SITE.count(":8000") == 1


def test_both_ways_are_rows_of_one_table(tmp_path: Path) -> None:
    def way(name: str, failed: int, seconds: float) -> Way:
        good = [Deploy("a change", "", BEGIN, BEGIN + 20, live_at=BEGIN + seconds, bytes=300_000)]
        track = Track(
            name, tmp_path, {}, [request(at) for at in range(10)], [request(at) for at in range(failed)], good
        )
        return Way(name, track, 60_000_000, 120.4, 230.0)

    table = comparison([way("Slipway", 0, 12.0), way("docker run", 7, 2.0)])
    values = [[cell["value"] for cell in row["cells"]] for row in table["rows"]]
    assert values == [["0", "12.0 s", "0.30 MB", "120 MB"], ["7", "2.0 s", "0.30 MB", "120 MB"]]
    assert [row["cells"][0]["mood"] for row in table["rows"]] == ["good", "bad"]
    assert table["rows"][0]["cells"][2]["note"] == "the first time 60 MB"


@pytest.mark.parametrize(
    ("smoke", "compared", "failed", "status"),
    [(False, True, 0, 0), (False, False, 0, 0), (False, True, 1, 1), (True, True, 0, 0), (True, False, 0, 1)],
)
def test_the_exit_status_tells_of_lost_requests_and_in_a_smoke_run_of_a_missing_comparison(
    smoke: bool, compared: bool, failed: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = trial.Measured(1, 1.0, 1.0)

    def docker(_: object) -> trial.Measured:
        if not compared:
            raise LabError("the image was not ready")
        return measured

    outcome = Outcome(Deploy("a change", "", BEGIN, BEGIN + 1), 10, failed, 0, 1.0, 1.0)
    monkeypatch.setattr(trial.Trial, "_slipway", lambda _: measured)
    monkeypatch.setattr(trial.Trial, "_docker", docker)
    monkeypatch.setattr(trial.Trial, "_write", lambda *_: None)
    monkeypatch.setattr(trial, "write_page", lambda _: (tmp_path, {"slipway": [outcome]}))
    site = Site.read([])
    request_ = cli.Request("shop", site, None, ("/",), 8000, 10, smoke, None)
    assert trial.Trial(request_, variants.Variants("a", "b", "c", "d", "e"), tmp_path).run() == status
