"""Images that keep the contract, and one for each way to break it."""

import base64

import pytest

from slipway.contract.lines import LINES
from tests.contract.conftest import SCENARIO, build, check

SHOP = ("-e", "app_probe_host=shop.example", "-e", "app_ready_path=/health")


@pytest.mark.parametrize(
    ("image", "options"),
    [
        ("gunicorn", ["-e", f"@{SCENARIO}/apps/gunicorn.yml"]),
        ("uvicorn", ["-e", f"@{SCENARIO}/apps/uvicorn.yml"]),
        ("breach", [*SHOP, "--slow-path=/slow"]),
        ("ours", []),
        ("control", []),
    ],
)
def test_an_image_keeps_the_contract(third_party_images: str, image: str, options: list[str]) -> None:
    checked = check(f"{third_party_images}:{image}", *options)
    assert (checked.status, checked.broken) == (0, []), checked.output
    assert ("with an answer in flight finished" in checked.output) == ("--slow-path=/slow" in options)
    for line in ("socket", "shell", "ready", "stop", "writes", "logs", "import"):
        if (image, line) != ("uvicorn", "import"):  # nothing is forked
            assert checked.states[LINES[line]] == "ok", checked.output


def test_a_response_cut_off_in_flight_is_reported(third_party_images: str) -> None:
    checked = check(f"{third_party_images}:breach", *SHOP, "--slow-path=/slow", breach="abrupt")
    assert (checked.status, checked.broken) == (1, [LINES["stop"]]), checked.output
    assert "GET /slow was in flight" in checked.output


def test_a_path_that_is_not_slow_is_refused(third_party_images: str) -> None:
    checked = check(f"{third_party_images}:gunicorn", *SHOP, "--slow-path=/health")
    assert checked.status == 2
    assert "name a path that takes a second or two" in checked.output


def test_secrets_are_handed_over_as_files(third_party_images: str) -> None:
    change = "RUN echo 'release: test \"$(cat $CREDENTIALS_DIRECTORY/API_KEY)\" = x' > Procfile"
    image = build("secret", f"FROM {third_party_images}:gunicorn\nUSER 0\n{change}")
    site = ("-e", "app_probe_host=shop.example", "-e", "app_ready_path=/about")
    checked = check(image, *site, "-e", "app_secrets={API_KEY: x}")
    assert checked.states[LINES["secrets"]] == "ok", checked.output
    assert check(image, *site, "-e", "app_secrets={API_KEY: y}").broken == [LINES["procfile"]]


@pytest.mark.parametrize(
    ("image", "breach", "line", "message"),
    [
        ("breach", "tcp", "socket", "set `app_port: 9000`"),
        ("breach", "script", "socket", "set `app_port: 9000`"),
        ("breach", "write", "writes", "it may write to $STATE_DIRECTORY and /tmp only"),
        ("breach", "lookup", "ready", "`app_egress`: set it to host, networks or internet"),
        ("breach", "thread", "import", "Start them in the app's lifespan, or leave --preload out"),
        ("breach", "deaf", "stop", "let the image's command become the server (`exec`)"),
        ("thread", None, "import", "thread 'prices' started at import by /app/app/main.py"),
    ],
)
def test_a_broken_line_is_named_with_what_to_change(
    third_party_images: str, image: str, breach: str | None, line: str, message: str
) -> None:
    options = [] if image == "thread" else [*SHOP, "-e", "app_request_timeout=3"]
    timeout = "--timeout=10" if line == "socket" else "--timeout=60"  # nothing else ends that wait
    checked = check(f"{third_party_images}:{image}", *options, timeout, breach=breach)
    assert (checked.status, checked.broken) == (1, [LINES[line]]), checked.output
    assert message in checked.output


def test_a_wrong_host_name_and_a_wrong_path_have_different_advice(third_party_images: str) -> None:
    assert "-e app_probe_host=" in check(f"{third_party_images}:gunicorn").output
    assert "-e app_ready_path=" in check(f"{third_party_images}:gunicorn", *SHOP, "-e", "app_ready_path=/no").output


def test_a_secret_that_the_app_expects_in_its_environment(third_party_images: str) -> None:
    checked = check(
        f"{third_party_images}:uvicorn", "-e", "app_ready_path=/status/ready", "-e", "app_secrets={VAULT_KEY: x}"
    )
    assert checked.broken == [LINES["ready"]]
    assert "KeyError: 'VAULT_KEY'" in checked.output


@pytest.mark.parametrize(
    ("tag", "change", "line", "message"),
    [
        ("no-command", "ENTRYPOINT []\nCMD []", "socket", "has no command"),
        ("no-shell", 'RUN ["rm", "/bin/sh"]', "shell", "has no /bin/sh"),
        ("link", "RUN rm -r /var/tmp && ln -s /tmp /var/tmp", "folders", "/var/tmp is a symbolic link"),
        ("file", "RUN rm -r /var/tmp && touch /var/tmp", "folders", "/var/tmp is a file"),
        ("home", "WORKDIR /home/shop", "folders", "the sandbox hides the image's /home"),
        ("venv", "RUN mv shop.py /home\nENV PYTHONPATH=/home", "ready", "No module named 'shop'"),
        ("missing", 'ENTRYPOINT []\nCMD ["hypercorn"]', "socket", "there is no hypercorn in the image's PATH"),
        (
            "interpreter",
            "RUN mv /usr/bin/python3.13 /root/ && ln -s /root/python3.13 /usr/bin/python3.13",
            "folders",
            "(/usr/bin/python3 leads to /root/python3.13), and the sandbox hides the image's /root",
        ),
        (
            "volume",
            "VOLUME /opt/shop/data\nENV SHOP_WRITES=data",
            "writes",
            "it may write to $STATE_DIRECTORY and /tmp only",
        ),
        ("procfile", "RUN echo web > Procfile", "procfile", "is not `name: command`"),
        ("release", "RUN echo 'release: exit 7' > Procfile", "procfile", "`release:` ended with exit status 7"),
    ],
)
def test_a_line_that_the_files_break_is_named(
    third_party_images: str, tag: str, change: str, line: str, message: str
) -> None:
    checked = check(build(tag, f"FROM {third_party_images}:gunicorn\nUSER 0\n{change}"), *SHOP)
    assert (checked.status, checked.broken) == (1, [LINES[line]]), checked.output
    assert message in checked.output


def test_files_are_seen_with_the_modes_that_they_are_shipped_with(third_party_images: str) -> None:
    """The app's user cannot read root's private files in the image, but can read the shipped copies."""
    image = build("private", f"FROM {third_party_images}:gunicorn\nUSER 0\nRUN chmod -R go= /opt/shop")
    assert check(image, *SHOP).status == 0


def test_a_folder_of_app_writable_begins_as_in_the_image(third_party_images: str) -> None:
    image = build("writes", f"FROM {third_party_images}:gunicorn\nENV SHOP_WRITES=data")
    refused = check(image, *SHOP)
    assert refused.broken == [LINES["writes"]], refused.output
    assert "app_writable: [<WORKDIR>/data" in refused.output
    assert check(image, *SHOP, "-e", "app_writable=[/opt/shop/data]").status == 0
    assert check(image, *SHOP, "-e", "app_writable=[/etc]").status == 2


@pytest.mark.parametrize(
    ("command", "named", "message"),
    [
        ("exec sleep 60", True, "worker ran beside it"),
        ("exec sleep 60", False, "worker not started: app_processes does not name it"),
        ("exec python3 -c 'raise RuntimeError(\"no queue\")'", True, "`worker:` ended with exit status 1"),
        ("sleep 60", True, "Write `worker: exec sleep 60`"),
        ("exec nowhere", False, "'worker' runs nowhere, and there is no nowhere in the image's PATH"),
    ],
)
def test_the_named_processes_are_started(third_party_images: str, command: str, named: bool, message: str) -> None:
    line = base64.b64encode(f"worker: {command}\n".encode()).decode()
    image = build(
        "process", f"FROM {third_party_images}:gunicorn\nUSER 0\nRUN echo {line} | base64 --decode >> Procfile"
    )
    checked = check(image, *SHOP, *(["-e", "app_processes=[{name: worker}]"] if named else []))
    assert message in checked.output, checked.output
    assert checked.broken == ([] if " ran " in message or "not started" in message else [LINES["procfile"]])


def test_a_process_that_the_procfile_lacks_is_named(third_party_images: str) -> None:
    checked = check(f"{third_party_images}:gunicorn", *SHOP, "-e", "app_processes=[{name: worker}]")
    assert checked.broken == [LINES["procfile"]]
    assert "app_processes has worker" in checked.output


@pytest.mark.parametrize("access", ["socket", "tcp"])
def test_postgresql_and_valkey_beside_the_app(access: str, third_party_images: str) -> None:
    """The app migrates as the owner of its tables, and its worker takes tasks."""
    data = ("--with=postgres", "--with=valkey", "-e", "app_database=data", "-e", "app_processes=[{name: worker}]")
    checked = check(f"{third_party_images}:ours", *data, "-e", f"app_data_access={access}")
    assert (checked.status, checked.broken) == (0, []), checked.output
    assert "worker ran beside it" in checked.output


def test_restrictions_that_only_a_host_imposes_are_listed(third_party_images: str) -> None:
    assert (
        "Only a host shows: system calls that the sandbox refuses"
        in check(f"{third_party_images}:gunicorn", *SHOP).output
    )


def test_an_image_without_python_is_probed_on_its_port(third_party_images: str) -> None:
    checked = check(build("no-python", 'FROM debian:trixie-slim\nCMD ["sleep", "99"]'), "--timeout=4")
    assert checked.status == 1
    assert checked.states[LINES["socket"]] == "not ok"
    assert "nothing listens on port 8000: let it listen on $PORT" in checked.output


def test_an_image_that_does_not_exist() -> None:
    checked = check("nowhere.invalid/none:1")
    assert checked.status == 2
    assert "is not on this machine and cannot be pulled" in checked.output
