"""`uvicorn --host 0.0.0.0 --workers 2`, unchanged: served like any other, and reached by nobody but nginx."""

import json
import time
from pathlib import Path
from typing import Any

from clients import wait_until
from deploys import Deploy, Site

from tools.checkout import THIRD_PARTY_IMAGES

APPS = Path(__file__).resolve().parents[2] / "apps"
IMAGE = f"{THIRD_PARTY_IMAGES}:port"
PORT = 8000
LEFT = "ip netns list; ip -oneline link show type veth | grep slipway; nft list tables | grep slipway; true"
REACH = "python3 -c \"import socket; socket.create_connection(('{address}', {port}), 1)\""


def deploy(setting: str = "") -> Deploy:
    return Deploy(more=[f"--extra-vars=@{APPS}/uvicorn.yml"], image=IMAGE, setting=setting)


def namespace(status: dict[str, Any]) -> str:
    return f"/run/netns/app:{status['live']}"


def test_it_serves_on_the_port_that_its_image_exposes(status: Any, ask: Any, deployer: Any) -> None:
    assert (status["state"], status["port"]) == ("healthy", PORT)
    about = ask("/about").json
    assert (about["release"], about["port"]) == (status["live"], str(PORT))
    assert about["client"] not in {"127.0.0.1", None}, "nginx's X-Forwarded-For is lost"
    assert f"serves    on port {PORT}" in deployer.check_output("slipway status")


def test_nothing_answers_on_an_address_of_the_host(host: Any, status: Any) -> None:
    listening = host.check_output(f"nsenter --net={namespace(status)} ss --listening --tcp --numeric --no-header")
    assert f"0.0.0.0:{PORT}" in listening
    addresses = host.check_output("ip -json address show")
    found = {info["local"] for link in json.loads(addresses) for info in link["addr_info"] if info["scope"] != "link"}
    own = host.check_output(f"nsenter --net={namespace(status)} ip -json address show eth0")
    found |= {info["local"] for link in json.loads(own) for info in link["addr_info"] if info["scope"] != "link"}
    assert len(found) >= 4
    for address in found:
        assert host.run(REACH.format(address=address, port=PORT)).rc != 0, address


def test_nothing_answers_to_another_machine(host: Any, status: Any, elsewhere: str) -> None:
    inside = host.check_output(f"nsenter --net={namespace(status)} ip -json address show eth0")
    app = next(info["local"] for info in json.loads(inside)[0]["addr_info"] if info["family"] == "inet")
    assert host.run(elsewhere + REACH.format(address="203.0.113.1", port=22)).rc == 0, "it is no machine that reaches"
    for address in (app, "203.0.113.1"):
        assert host.run(elsewhere + REACH.format(address=address, port=PORT)).rc != 0, address


def test_another_unit_of_the_release_and_another_release_do_not_reach_it(host: Any, status: Any) -> None:
    inside = host.check_output(f"nsenter --net={namespace(status)} ip -json address show eth0")
    app = next(info["local"] for info in json.loads(inside)[0]["addr_info"] if info["family"] == "inet")
    for name in (f"run:{status['live']}", "app:20200101T000000-0000000"):
        host.check_output(
            f"systemctl start network@{name}.service; EGRESS=internet LOOPBACK=127.0.0.0/8 "
            f"/usr/local/lib/slipway/network up {name}"
        )
        try:
            for address in (app, "127.0.0.1"):
                attempt = f"nsenter --net=/run/netns/{name} " + REACH.format(address=address, port=PORT)
                assert host.run(f"timeout 3 {attempt}").rc != 0, (name, address)
        finally:
            host.check_output(f"/usr/local/lib/slipway/network down {name}")


def test_it_reaches_what_listens_on_the_hosts_loopback_and_its_own_port(host: Any, ask: Any) -> None:
    host.check_output("systemd-run --quiet --collect --unit=neighbour python3 -m http.server 5432 --bind 127.0.0.1")
    try:
        deadline = time.monotonic() + 10
        while not ask("/reach/127.0.0.1/5432").json["reached"] and time.monotonic() < deadline:
            time.sleep(0.2)
        assert ask("/reach/127.0.0.1/5432").json["reached"]
        assert ask(f"/reach/127.0.0.1/{PORT}").json["reached"]
        # sshd listens on all addresses; app_egress: host is the loopback alone.
        assert not ask("/reach/198.18.0.1/22").json["reached"]
    finally:
        host.check_output("systemctl stop neighbour.service")


def test_requests_wait_while_it_crashes(host: Any, status: Any, ask: Any, no_request_fails: None) -> None:
    before = host.check_output(f"systemctl show --property=NRestarts --value app@{status['live']}.service")
    host.check_output(f"systemctl kill --signal=KILL app@{status['live']}.service")
    assert ask("/about").status == 200
    after = host.check_output(f"systemctl show --property=NRestarts --value app@{status['live']}.service")
    assert int(after) > int(before)


def test_requests_wait_while_its_proxy_crashes(host: Any, status: Any, ask: Any, no_request_fails: None) -> None:
    host.check_output(f"systemctl kill --signal=KILL proxy@{status['live']}.service; sleep 1")
    assert ask("/about").status == 200


def test_a_deploy_a_bad_one_and_a_rollback_fail_no_request(
    deployer: Any, host: Any, status: Any, no_request_fails: None
) -> None:
    good = deploy()
    assert good.wait() == 0, good.output
    now = Site(deployer).status()
    assert now["live"] != status["live"]
    bad = deploy("BAZAAR=broken")
    assert bad.wait() != 0
    assert Site(deployer).status()["live"] == now["live"]
    deployer.check_output("slipway rollback")
    after = Site(deployer).until(lambda each: each["state"] == "healthy" and each["live"] == status["live"])
    assert after["port"] == PORT
    wait_until(lambda: host.check_output("ls /run/netns").split() == [f"app:{status['live']}"])


def test_nothing_is_left_of_a_release_that_stopped(host: Any, deployer: Any, status: Any) -> None:
    release = status["live"]
    assert host.check_output(LEFT) != ""
    host.check_output(f"systemctl stop app@{release}.socket app@{release}.service proxy@{release}.service")
    wait_until(lambda: host.check_output(LEFT) == "")
    deployer.check_output("slipway recover")
    Site(deployer).until(lambda each: each["state"] == "healthy")
    assert host.check_output("ls /run/netns").split() == [f"app:{release}"]


def test_an_engine_that_is_killed_leaves_no_network(host: Any, deployer: Any, status: Any) -> None:
    run = deploy("SLOW=1")
    wait_until(lambda: len(host.check_output("ls /run/netns").split()) > 1, 60)
    host.check_output("systemctl kill --signal=KILL 'deploy@*.service'")
    run.wait()
    wait_until(lambda: host.check_output("ls /run/netns").split() == [f"app:{status['live']}"])
    links = host.check_output("ip -oneline link show type veth | grep -c slipway")
    assert links == "1"
