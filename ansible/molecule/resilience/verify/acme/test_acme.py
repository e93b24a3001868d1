"""nginx_tls: acme, with a real CA: the first certificate, renewals, and what goes wrong."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from site_answers import by_http, by_https

SCHEME = "https"
GOOD, WRONG, ADDED = "localhost", "wrong.example.test", "added.example.test"
WAIT_SECONDS = 90
GAP_SECONDS = 20
"""How long certbot and a busy machine may hold up answers. None may fail."""


def with_names(provision: Callable[..., Any], *names: str, **more: Any) -> None:
    """Provision the site with certificates for these names."""
    values = {
        "nginx_tls": "acme",
        "nginx_server_names": names,
        "nginx_acme_directory": "https://localhost:14000/dir",
        **more,
    }
    done = provision(more=[json.dumps(values)])
    assert done.returncode == 0, done.stdout


@pytest.fixture
def attempt(host: Any) -> Callable[[], None]:
    """Try all names now, as a person would, and wait until nginx has what came of it."""

    def run() -> None:
        # A run that provisioning began may still be under way, and know what was true before.
        host.run("systemctl restart nginx-acme@now.service")
        host.check_output(
            "sleep 0.5; for i in $(seq 300); do systemctl is-active --quiet nginx-acme-install || exit 0; sleep 0.2; done; exit 1"
        )

    return run


@pytest.fixture
def told(deployer: Any) -> Callable[[], dict[str, Any]]:
    """What `slipway status` says of each name."""

    def run() -> dict[str, Any]:
        values = json.loads(deployer.check_output("slipway status --json"))
        return {each["name"]: each for each in values["certificates"]}

    return run


@pytest.fixture
def loads(host: Any) -> Callable[[], list[float]]:
    """When nginx was told to load certificates since the test began, in epoch seconds."""
    began = time.time()

    def moments() -> list[float]:
        shown = host.check_output(
            f"journalctl --unit=nginx-acme-install --output=short-unix --no-pager --since=@{int(began)}"
        )
        return [
            float(line.split()[0]) for line in shown.splitlines() if line.endswith(": nginx loads its certificates")
        ]

    return moments


def until(condition: Callable[[], Any], detail: Callable[[], Any] | None = None) -> Any:
    """Wait for a true value, and return it. `detail` gives more for the message of a failure."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {detail() if detail else value}"
        time.sleep(0.5)
    return value


def test_the_first_deploy_waits_for_no_certificate(
    pebble: Any, provision: Any, told: Any, addresses: dict[str, str]
) -> None:
    """The CA is down."""
    with_names(provision, GOOD, WRONG)
    assert by_http(addresses, GOOD) == by_http(addresses, WRONG) == (200, None)
    until(lambda: told()[GOOD]["reason"], told)
    assert {name: each["state"] for name, each in told().items()} == {GOOD: "none", WRONG: "none"}
    assert "Connection refused" in told()[GOOD]["reason"]


def test_the_first_certificate_and_a_name_that_fails(
    pebble: Any, load: Any, attempt: Any, loads: Any, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    pebble.dns("set-servfail", host=WRONG)
    pebble.start()
    attempt()
    until(lambda: told()[GOOD]["state"] == "valid", told)
    load.closings += loads()
    assert by_http(addresses, GOOD) == (308, f"https://{GOOD}/version?a=b")
    assert by_https(addresses, GOOD).hsts == "max-age=31536000"
    assert by_http(addresses, WRONG) == (200, None)
    assert told()[WRONG]["state"] == "none"
    assert "could not resolve" in told()[WRONG]["reason"]
    assert f"{WRONG}: no certificate yet, served by http; renewal fails" in host.check_output("slipway status")
    load.check(GAP_SECONDS)


def test_the_name_gets_its_certificate_when_its_dns_is_repaired(
    pebble: Any, attempt: Any, told: Any, addresses: dict[str, str]
) -> None:
    pebble.dns("clear-servfail", host=WRONG)
    attempt()
    until(lambda: told()[WRONG]["state"] == "valid", told)
    assert by_http(addresses, WRONG)[0] == 308
    assert by_https(addresses, WRONG).fingerprint != by_https(addresses, GOOD).fingerprint


def test_only_nginx_reads_the_keys(host: Any) -> None:
    key = host.file(f"/etc/nginx/acme/{GOOD}/key.pem")
    assert (key.mode, key.user, key.group) == (0o640, "root", "www-data")
    assert host.file("/var/lib/nginx-acme/private").mode == host.file("/var/lib/nginx-acme/ready").mode == 0o700
    for user in ("nginx-acme", "deploy", "app"):
        assert host.run(f"runuser -u {user} -- cat /etc/nginx/acme/{GOOD}/key.pem").rc != 0
    for user in ("www-data", "deploy", "app"):
        assert host.run(f"runuser -u {user} -- ls /var/lib/nginx-acme/private /var/lib/nginx-acme/ready").rc != 0


STATE = "/var/lib/nginx-acme"


def make_due(host: Any) -> None:
    """Have certbot find each certificate old."""
    files = f"{STATE}/private/*/renewal/*.conf"
    host.check_output(f"sed -i /renew_before_expiry/d {files} && sed -i '1i renew_before_expiry = 3650 days' {files}")


def test_a_renewal_that_fails_leaves_what_serves(
    pebble: Any, load: Any, attempt: Any, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    pebble.stop()
    make_due(host)
    before = by_https(addresses, GOOD)
    attempt()
    assert by_https(addresses, GOOD) == before
    assert told()[GOOD]["state"] == "failing"
    assert "Connection refused" in told()[GOOD]["reason"]
    load.check(GAP_SECONDS)


def test_a_renewal_by_a_ca_that_forgot_the_account(
    pebble: Any, load: Any, attempt: Any, loads: Any, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    pebble.start()
    before = by_https(addresses, GOOD).fingerprint
    attempt()
    until(lambda: by_https(addresses, GOOD).fingerprint != before)
    load.closings += loads()
    assert told()[GOOD]["state"] == "valid"
    load.check(GAP_SECONDS)


@pytest.fixture
def full(host: Any) -> Iterator[Callable[[], Any]]:
    """The folder of certbot on a disk of its own that is full; the function makes room."""
    filler = f"{STATE}/filler"
    host.check_output(
        f"cp -a {STATE} /root/state && mount -t tmpfs -o size=20m,mode=755 tmpfs {STATE} && cp -a /root/state/. {STATE} && "
        f"chown --reference=/root/state {STATE} && (dd if=/dev/zero of={filler} bs=4k status=none || true)"
    )
    yield lambda: host.check_output(f"rm {filler}")
    host.check_output(
        f"cp -a {STATE} /root/new && umount {STATE} && cp -a /root/new/. {STATE}; rm -r /root/state /root/new"
    )


@pytest.mark.catalogue
def test_a_renewal_on_a_full_disk_leaves_what_serves(
    pebble: Any, attempt: Any, told: Any, host: Any, full: Any, addresses: dict[str, str]
) -> None:
    make_due(host)
    before = by_https(addresses, GOOD)
    attempt()
    assert by_https(addresses, GOOD) == before
    assert told()[GOOD]["state"] == "failing"
    assert "No space left" in told()[GOOD]["reason"]
    full()
    attempt()
    until(lambda: by_https(addresses, GOOD) != before)
    assert told()[GOOD]["state"] == "valid"


@pytest.fixture
def clock(host: Any) -> Iterator[Callable[[str], None]]:
    """Have the programs that obtain and install certificates see another time."""
    library = host.check_output(
        "apt-get install --yes --no-install-recommends libfaketime >/dev/null && dpkg -L libfaketime | grep '/libfaketime.so.1$'"
    )

    def turn(offset: str) -> None:
        text = f"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME={offset} FAKETIME_DISABLE_SHM=1\n"
        for unit in ("nginx-acme@", "nginx-acme-install"):
            folder = f"/run/systemd/system/{unit}.service.d"
            host.check_output(f"mkdir -p {folder} && printf '{text}' >{folder}/clock.conf")
        host.check_output("systemctl daemon-reload")

    yield turn
    host.check_output("rm -f /run/systemd/system/nginx-acme*.service.d/clock.conf; systemctl daemon-reload")


@pytest.mark.catalogue
@pytest.mark.parametrize(("offset", "reason"), [("+3650d", "expired"), ("-3650d", "not yet valid")])
def test_a_renewal_by_a_clock_that_is_wrong_leaves_what_serves(
    pebble: Any, attempt: Any, told: Any, host: Any, clock: Any, addresses: dict[str, str], offset: str, reason: str
) -> None:
    """The timer tries again as soon as the clock is right."""
    make_due(host)
    before = by_https(addresses, GOOD)
    clock(offset)
    attempt()
    assert by_https(addresses, GOOD) == before
    assert told()[GOOD]["state"] == "failing"
    assert reason in told()[GOOD]["reason"]
    clock("+0")
    host.run("systemctl start nginx-acme@due.service")
    until(lambda: by_https(addresses, GOOD) != before)
    assert told()[GOOD]["state"] == "valid"


READY = f"{STATE}/ready"


@pytest.fixture
def spoil(host: Any) -> Iterator[Callable[[str], None]]:
    """Write another file where root takes what certbot obtained."""
    host.check_output(f"cp -p {READY}/{GOOD}.pem /root/ready.pem")
    yield lambda command: host.check_output(f"{command} >{READY}/{GOOD}.pem")
    host.check_output(f"cp -p /root/ready.pem {READY}/{GOOD}.pem; systemctl start nginx-acme-install")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"cat {READY}/{WRONG}.pem", f"it does not hold for {GOOD}"),
        pytest.param(
            f"(sed '/BEGIN CERT/,$d' /root/ready.pem; sed -n '/BEGIN CERT/,$p' {READY}/{WRONG}.pem)",
            "it does not fit its key",
            marks=pytest.mark.catalogue,
        ),
        pytest.param("head -c 200 /root/ready.pem", "the file has 0 keys", marks=pytest.mark.catalogue),
    ],
)
def test_a_certificate_that_is_not_as_it_should_be_is_refused(
    spoil: Any, command: str, reason: str, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    before = by_https(addresses, GOOD)
    spoil(command)
    assert host.run("systemctl start nginx-acme-install").rc
    assert by_https(addresses, GOOD) == before
    assert reason in told()[GOOD]["reason"]


def test_a_name_is_taken_away_and_one_is_added(
    provision_nginx: Any, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    with_names(provision_nginx, GOOD, ADDED)
    until(lambda: told()[ADDED]["state"] == "valid", told)
    assert by_http(addresses, ADDED)[0] == 308
    assert by_http(addresses, WRONG)[0] == 421
    assert set(told()) == {GOOD, ADDED}
    left = host.check_output("find /etc/nginx/acme /var/lib/nginx-acme -name 'wrong*'")
    assert left == ""


@pytest.mark.catalogue
def test_a_ca_that_registers_its_own_customers_only(
    pebble: Any, provision_nginx: Any, attempt: Any, told: Any, host: Any, addresses: dict[str, str]
) -> None:
    """It forgot the account, too."""
    pebble.stop()
    binding = pebble.require_binding()
    pebble.start()
    make_due(host)
    attempt()
    assert "Set nginx_acme_eab" in told()[GOOD]["reason"]
    before = by_https(addresses, GOOD)
    with_names(provision_nginx, GOOD, ADDED, nginx_acme_eab=binding)
    until(lambda: by_https(addresses, GOOD) != before)
    assert host.file("/etc/slipway/acme-eab").mode == 0o600
