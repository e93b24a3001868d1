"""`make try`: what is refused before anything is touched, the variants, and what is compared."""

import io
import json
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from bench.host import BenchError
from bench.serving import SITE
from demo import asked, layers, variants
from demo.comparison import Way, comparison
from demo.report.record import Deploy, Track
from tests.demo.conftest import BEGIN, request


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Docker that knows one image, `shop`, writes down what it is told, and can do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    config = {"ExposedPorts": {"9000/tcp": {}, "53/udp": {}}, "Entrypoint": ["serve"], "Cmd": ["--now"]}
    (folder / "inspected").write_text(json.dumps([{"Config": config, "RootFS": {"Layers": ["sha256:a", "sha256:b"]}}]))
    script = folder / "docker"
    script.write_text(f"""#!/bin/sh
echo "$@" >> {folder}/told
case "$1 $2 $3" in
    "image inspect shop"|"image inspect slipway-try:app") cat {folder}/inspected ;;
    "image inspect older") sed 's/, "sha256:b"//' {folder}/inspected ;;
    "save shop ") cat {folder}/saved ;;
    build*) for last; do :; done; cat $last/Dockerfile >> {folder}/dockerfiles ;;
    *) echo "no such thing" >&2; exit 1 ;;
esac
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "shopp"], "there is no image shopp on this machine"),
        (["--dockerfile", "/nowhere"], "/nowhere does not exist: DOCKERFILE names"),
        (["--dockerfile", "."], "has no Dockerfile"),
        (["--image", "shop", "--settings", "none.env"], "there is no file none.env"),
        (["--image", "shop", "--paths", "about"], "a path begins with /"),
        (["--image", "shop", "-e", "app_redy_path=/health"], "is not NAME=VALUE with a variable of the app"),
    ],
)
def test_bad_input_is_told_before_anything_is_touched(
    arguments: list[str], says: str, docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=says):
        asked.read(arguments, "")
    told = (docker / "told").read_text().splitlines() if (docker / "told").exists() else []
    assert all(line.startswith("image inspect") for line in told)


def test_an_image_that_breaks_the_contract_is_not_deployed(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def contract(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        checked.append(command[1:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr("demo.asked.subprocess.run", contract)
    monkeypatch.setattr("demo.asked.inspect", lambda _: {})
    with pytest.raises(BenchError, match="nothing was deployed: first change"):
        asked.read(["--image", "shop", "--ready-path", "/health", "--probe-host", "shop.example"], "")
    assert checked == [["shop", "-e", "app_ready_path=/health", "-e", "app_probe_host=shop.example"]]


def test_what_was_asked_becomes_the_hosts_variables(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.asked._check_contract", lambda *_: None)
    (tmp_path / "site.yml").write_text(
        "nginx_server_names: [shop.example]\napp_ready_path: /health\napp_secrets: {KEY: x}\nhost_admin: me\n"
    )
    (tmp_path / "settings.env").write_text('MOTTO="two words"\n')
    trial = asked.read(["--image", "shop", "-e", f"@{tmp_path}/site.yml", "--settings", f"{tmp_path}/settings.env"], "")
    variables = trial.variables()
    assert variables["app_ready_path"] == "/health"
    assert variables["nginx_server_names"] == ["shop.example", "localhost", "127.0.0.1"]
    assert "host_admin" not in variables
    assert "app_secrets_file" not in variables
    assert (trial.host_header, trial.paths, trial.port) == ("shop.example", ("/health",), 9000)
    assert trial.environment == {"MOTTO": "two words", "KEY": "x"}


def test_a_dockerfile_is_named_by_itself_or_by_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.touch()
    assert asked.dockerfile(tmp_path) == asked.dockerfile(file) == file


def test_a_crashing_variant_is_the_app_until_it_is_killed() -> None:
    began = time.monotonic()
    ended = subprocess.run(
        ["/bin/sh", "-c", variants.CRASH, "1", "sh", "-c", "echo $0; exec sleep 30", "serving"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "serving\n"
    assert 0.9 < time.monotonic() - began < 10


def test_a_crashing_variant_runs_the_images_own_command(docker: Path) -> None:
    names = variants.Variants(*(f"slipway-try:{name}" for name in ("app", "one", "two", "stillborn", "crashing")))
    variants.build_crashing(names, 3)
    command = json.loads((docker / "dockerfiles").read_text().splitlines()[-1].removeprefix("CMD "))
    assert command == ["/bin/sh", "-c", variants.CRASH, "3", "serve", "--now"]


def test_only_the_layers_that_are_new_are_counted(docker: Path) -> None:
    contents = {"a/layer.tar": bytes(1_000_000), "b/layer.tar": b"\x1f\x8b" + bytes(range(100))}
    contents["manifest.json"] = json.dumps([{"Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()
    with tarfile.open(docker / "saved", "w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert layers.transfer("shop", "older") == 102  # gzipped already
    assert 102 < layers.transfer("shop") < 3000  # a million zeros are small


def test_the_textbooks_site_has_the_ports_that_are_replaced() -> None:
    assert SITE.count("8080") == 1
    assert SITE.count(":8000") == 1


def test_both_ways_are_lines_of_one_table(tmp_path: Path) -> None:
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
