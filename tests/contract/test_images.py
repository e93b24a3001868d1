"""Images that keep the contract, and one for each way to break it."""

import pytest

from tests.contract.conftest import STRANGERS, build, check
from tools.contract_check.lines import LINES

SHOP = ("-e", "app_probe_host=shop.example", "-e", "app_ready_path=/health")


@pytest.mark.parametrize(
    ("image", "options"),
    [
        ("gunicorn", [f"-e=@{STRANGERS}/apps/gunicorn.yml"]),
        ("uvicorn", [f"-e=@{STRANGERS}/apps/uvicorn.yml"]),
        ("breach", [*SHOP, "--slow-path=/slow"]),
        ("ours", []),
        ("control", []),
    ],
)
def test_an_image_that_keeps_it(strangers: str, image: str, options: list[str]) -> None:
    checked = check(f"{strangers}:{image}", *options)
    assert (checked.status, checked.broken) == (0, []), checked.words
    assert ("with an answer in flight finished" in checked.words) == ("--slow-path=/slow" in options)
    for line in ("socket", "shell", "ready", "stop", "writes", "logs", "import"):
        if (image, line) != ("uvicorn", "import"):  # nothing is forked
            assert checked.states[LINES[line]] == "ok", checked.words


def test_an_answer_in_flight_that_is_cut_off_is_told(strangers: str) -> None:
    checked = check(f"{strangers}:breach", *SHOP, "--slow-path=/slow", breach="abrupt")
    assert (checked.status, checked.broken) == (1, [LINES["stop"]]), checked.words
    assert "GET /slow was in flight" in checked.words


def test_a_path_that_is_not_slow_is_refused(strangers: str) -> None:
    checked = check(f"{strangers}:gunicorn", *SHOP, "--slow-path=/health")
    assert checked.status == 2
    assert "name a path that takes a second or two" in checked.words


def test_secrets_are_handed_over_as_files(strangers: str) -> None:
    change = "RUN echo 'release: test \"$(cat $CREDENTIALS_DIRECTORY/API_KEY)\" = x' > Procfile"
    image = build("secret", f"FROM {strangers}:gunicorn\nUSER 0\n{change}")
    site = ("-e", "app_probe_host=shop.example", "-e", "app_ready_path=/about")
    checked = check(image, *site, "-e", "app_secrets={API_KEY: x}")
    assert checked.states[LINES["secrets"]] == "ok", checked.words
    assert check(image, *site, "-e", "app_secrets={API_KEY: y}").broken == [LINES["procfile"]]


@pytest.mark.parametrize(
    ("image", "breach", "line", "says"),
    [
        ("breach", "tcp", "socket", "start uvicorn with --fd 3"),
        ("breach", "script", "socket", "start it with `exec` in a script"),
        ("breach", "write", "writes", "it may write to $STATE_DIRECTORY and /tmp only"),
        ("breach", "lookup", "ready", "`app_egress`: set it to host, networks or internet"),
        ("breach", "thread", "import", "Start them in the app's lifespan, or leave --preload out"),
        ("breach", "deaf", "stop", "let the image's command become the server (`exec`)"),
        ("thread", None, "import", "thread 'prices' started at import by /app/app/main.py"),
    ],
)
def test_a_broken_line_is_named_with_what_to_change(
    strangers: str, image: str, breach: str | None, line: str, says: str
) -> None:
    options = [] if image == "thread" else [*SHOP, "-e", "app_request_timeout=3"]
    timeout = "--timeout=10" if line == "socket" else "--timeout=60"  # nothing else ends that wait
    checked = check(f"{strangers}:{image}", *options, timeout, breach=breach)
    assert (checked.status, checked.broken) == (1, [LINES[line]]), checked.words
    assert says in checked.words


def test_a_wrong_name_and_a_wrong_path_are_told_apart(strangers: str) -> None:
    assert "-e app_probe_host=" in check(f"{strangers}:gunicorn").words
    assert "-e app_ready_path=" in check(f"{strangers}:gunicorn", *SHOP, "-e", "app_ready_path=/no").words


def test_a_secret_that_it_expects_in_its_environment(strangers: str) -> None:
    checked = check(f"{strangers}:uvicorn", "-e", "app_ready_path=/status/ready", "-e", "app_secrets={VAULT_KEY: x}")
    assert checked.broken == [LINES["ready"]]
    assert "KeyError: 'VAULT_KEY'" in checked.words


@pytest.mark.parametrize(
    ("tag", "change", "line", "says"),
    [
        ("no-command", "ENTRYPOINT []\nCMD []", "socket", "has no command"),
        ("no-shell", 'RUN ["rm", "/bin/sh"]', "shell", "has no /bin/sh"),
        ("link", "RUN rm -r /var/tmp && ln -s /tmp /var/tmp", "folders", "/var/tmp is a symbolic link"),
        ("file", "RUN rm -r /var/tmp && touch /var/tmp", "folders", "/var/tmp is a file"),
        ("home", "WORKDIR /home/shop", "folders", "the sandbox hides the image's /home"),
        ("venv", "RUN mv shop.py /home\nENV PYTHONPATH=/home", "ready", "No module named 'shop'"),
        ("procfile", "RUN echo web > Procfile", "procfile", "is not `name: command`"),
        ("release", "RUN echo 'release: exit 7' > Procfile", "procfile", "`release:` ended with exit status 7"),
    ],
)
def test_what_its_files_break(strangers: str, tag: str, change: str, line: str, says: str) -> None:
    checked = check(build(tag, f"FROM {strangers}:gunicorn\nUSER 0\n{change}"), *SHOP)
    assert (checked.status, checked.broken) == (1, [LINES[line]]), checked.words
    assert says in checked.words


def test_an_image_without_python_is_said_to_be_unseen(strangers: str) -> None:
    checked = check(build("no-python", 'FROM debian:trixie-slim\nCMD ["sleep", "9"]'))
    assert checked.status == 0
    assert checked.states[LINES["socket"]] == "cannot be seen"
    assert "the image has no python3" in checked.words


def test_an_image_that_is_not_here() -> None:
    checked = check("nowhere.invalid/none:1")
    assert checked.status == 2
    assert "is not on this machine and cannot be pulled" in checked.words
