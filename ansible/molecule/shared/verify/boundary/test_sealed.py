"""Somebody who stole the deploy key tries to change a release that was shipped, what runs from it, and where traffic goes."""

import textwrap
import time
from collections.abc import Iterator
from typing import Any

import attacker
import pytest
from attacker import RELEASE

OTHER = "20200102T000000-abcdef0"
SEALED = f"/srv/app/sealed/{RELEASE}"
EXCHANGE = "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True); "
EXCHANGE += "sys.exit(libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2) and 1)"


def python(deployer: Any, program: str, *arguments: str) -> Any:
    return deployer.run("python3 -c %s " + " ".join(arguments), textwrap.dedent(program))


@pytest.fixture
def live(status: Any) -> str:
    """The tree of the live release."""
    return f"/srv/app/sealed/{status['live']}"


@pytest.fixture
def shipped(deployer: Any, status: Any) -> Iterator[str]:
    """A release of the attacker's own making, ready to be sealed: the name of its folder."""
    yield attacker.ship(deployer, status)
    attacker.remove(deployer)


@pytest.mark.parametrize(
    "command",
    [
        "echo evil >> $live/app/app/main.py",
        "sed -i s/a/b/ $live/app/app/main.py",
        "touch $live/usr/lib/evil.pth",
        "rm -f $live/.slipway/web",
        "mv $live /srv/app/sealed/gone",
        "mv /srv/app/sealed /srv/app/gone",
        "mv $live/app $live/gone",
        "chmod -R u+w $live/app",
        "ln $live/app/app/main.py /srv/app/shared",
        "mkdir /srv/app/sealed/20200101T000000-abcdef0",
        "ln -s / /srv/app/sealed/20200101T000000-abcdef0",
        "setfacl -m u:deploy:rwx $live/app",
        "setfattr -n user.x -v y $live/app/app/main.py",
        "truncate -s 0 $live/.slipway/env",
        "rm -f /srv/app/live.sock",
        "ln -sfn /srv/app/evil.sock /srv/app/live.sock",
        "ln -sfnT /srv/app/evil.sock /srv/app/canary.sock",
        "ln -s /srv/app/evil.sock /srv/app/new && mv -fT /srv/app/new /srv/app/live.sock",
        "mkdir /srv/app/new && mv -T /srv/app/live.sock /srv/app/new/live.sock",
    ],
)
def test_deploy_does_not_change_a_sealed_release_nor_the_links(
    deployer: Any, host: Any, live: str, command: str
) -> None:
    before = host.check_output(
        f"find {live} /srv/app/sealed /srv/app/*.sock -printf '%p %l %i %s %u %m %T@\\n' | sha256sum"
    )
    answer = deployer.run(f"live={live}; {command}")
    deployer.run("rm -rf /srv/app/new /srv/app/shared /srv/app/gone")
    assert answer.rc != 0
    after = host.check_output(
        f"find {live} /srv/app/sealed /srv/app/*.sock -printf '%p %l %i %s %u %m %T@\\n' | sha256sum"
    )
    assert before == after


@pytest.mark.parametrize("target", ["sealed", "live.sock", "canary.sock"])
def test_nothing_is_exchanged_with_what_is_sealed(deployer: Any, host: Any, target: str) -> None:
    """renameat2 with RENAME_EXCHANGE: so 57 of 216 starts had a root directory of the attacker's, before."""
    deployer.check_output("mkdir -p /srv/app/mine && ln -sfn /tmp /srv/app/mine.sock")
    inode = host.check_output(f"stat --format=%i /srv/app/{target}")
    mine = "mine" if target == "sealed" else "mine.sock"
    assert python(deployer, EXCHANGE, f"/srv/app/{mine}", f"/srv/app/{target}").rc != 0
    # The same between two files of the attacker's works, so that the call itself is right.
    assert python(deployer, EXCHANGE, "/srv/app/mine", "/srv/app/mine.sock").rc == 0
    deployer.check_output("rm -rf /srv/app/mine /srv/app/mine.sock")
    assert host.check_output(f"stat --format=%i /srv/app/{target}") == inode


def test_a_file_that_was_kept_open_or_linked_while_it_was_shipped_changes_nothing(
    deployer: Any, host: Any, shipped: str
) -> None:
    program = f"""
        import mmap, os, subprocess
        os.link("{shipped}/code.py", "/srv/app/kept")
        file = open("{shipped}/code.py", "r+b")
        memory = mmap.mmap(file.fileno(), 0)
        print(subprocess.run(["slipway", "ship-end", "{RELEASE}"], capture_output=True, text=True).stderr)
        memory[:4] = b"evil"
        os.pwrite(file.fileno(), b"evil", 0)
        open("/srv/app/kept", "w").write("evil")
    """
    answer = python(deployer, program)
    deployer.check_output("rm /srv/app/kept")
    assert answer.rc == 0, answer.stderr
    assert host.check_output(f"cat {SEALED}/code.py") == "good", answer.stdout
    assert host.check_output(f"stat --format=%U:%a {SEALED}/code.py") == "sealer:644"


def test_an_honest_release_of_the_attackers_starts(deployer: Any, host: Any, shipped: str) -> None:
    """What the other tests rely on: so would theirs, as the app's user and no more."""
    attacker.fill(deployer)
    deployer.check_output(f"slipway ship-end {RELEASE} && systemctl --no-ask-password start app@{RELEASE}.service")
    pid = host.check_output(f"systemctl show --property=MainPID --value app@{RELEASE}.service")
    assert host.check_output(f"stat --format=%U /proc/{pid}") == "app"


@pytest.mark.parametrize("link", ["run", "var/lib", "etc", "tmp", "proc"])
def test_a_link_in_the_release_is_not_followed_by_root(deployer: Any, host: Any, shipped: str, link: str) -> None:
    deployer.check_output(f"rm -rf {shipped}/{link} && ln -s /opt {shipped}/{link}")
    before = host.check_output("find /opt")
    answer = deployer.run(f"slipway ship-end {RELEASE}")
    assert "is a symbolic link in the image" in answer.stderr
    assert deployer.run(f"systemctl --no-ask-password start app@{RELEASE}.service").rc != 0
    assert host.check_output("find /opt") == before


def test_a_folder_that_was_not_sealed_does_not_start(deployer: Any, host: Any) -> None:
    deployer.check_output(f"mkdir -p /srv/app/releases/{OTHER}/.slipway && ln -sfn / /srv/app/releases/{RELEASE}")
    for release in (OTHER, RELEASE):
        assert deployer.run(f"systemctl --no-ask-password start app@{release}.service").rc != 0
        deployer.run(f"systemctl --no-ask-password stop app@{release}.socket")
    deployer.check_output(f"rm -r /srv/app/releases/{OTHER} /srv/app/releases/{RELEASE}")
    assert host.run(f"test -e /srv/app/sealed/{OTHER} -o -e {SEALED}").rc != 0


SECRET = "/root/secret/shadow.py"


def test_what_is_exchanged_while_it_is_sealed_gives_nothing_of_roots(deployer: Any, host: Any, shipped: str) -> None:
    """A folder of the shipment and a link to secrets change places all the time, while it is sealed eight times."""
    host.check_output(f"mkdir -m 0700 -p /root/secret && echo SECRET > {SECRET}")
    program = f"""
        import ctypes, os, signal, subprocess
        libc = ctypes.CDLL(None)
        os.makedirs("{shipped}/way"); open("{shipped}/way/shadow.py", "w").write("mine")
        os.symlink("/root/secret", "{shipped}/evil")
        swapper = os.fork()
        if not swapper:
            signal.alarm(120)
            while True:
                libc.renameat2(-100, b"{shipped}/way", -100, b"{shipped}/evil", 2)
        seal = ["systemctl", "--no-ask-password", "start", "seal@{RELEASE}.service"]
        remove = ["systemctl", "--no-ask-password", "start", "remove@{RELEASE}.service"]
        try:
            for _ in range(8):
                subprocess.run(seal, stderr=subprocess.DEVNULL)
                print(subprocess.run(["grep", "-rl", "SECRET", "{SEALED}/way", "{SEALED}/evil"], capture_output=True, text=True).stdout)
                subprocess.run(remove, stderr=subprocess.DEVNULL)
        finally:
            os.kill(swapper, 9)
    """
    answer = python(deployer, program)
    host.check_output("rm -r /root/secret")
    assert answer.rc == 0, answer.stderr
    assert answer.stdout.split() == []


def test_traffic_is_pointed_at_sockets_of_the_app_alone(deployer: Any, host: Any, ask: Any, status: Any) -> None:
    """By the unit: a name that is no release is refused, and every link leads to root's folder of sockets."""
    try:
        for unit in (
            "point-live@..service",
            "point-live@x.service",
            "point-evil@none.service",
            "point-live@none.socket",
        ):
            assert deployer.run(f"systemctl --no-ask-password start {unit}").rc != 0
        deployer.check_output(f"systemctl --no-ask-password start point-canary@{OTHER}.service")
        assert host.check_output("readlink /srv/app/canary.sock") == f"/run/app/{OTHER}.sock"
        assert ask("/readyz").status == 200
    finally:
        deployer.check_output(f"systemctl --no-ask-password start point-canary@{status['live']}.service")
    assert host.check_output("stat --format=%U:%a /run/app") == "root:755"
    assert set(host.check_output("stat --format=%U /srv/app/live.sock /srv/app/canary.sock").split()) == {"sealer"}


def test_a_release_with_traffic_is_not_removed(deployer: Any, host: Any, status: Any) -> None:
    assert deployer.run(f"systemctl --no-ask-password start remove@{status['live']}.service").rc != 0
    assert host.file(f"/srv/app/sealed/{status['live']}/.slipway/web").exists


def test_a_record_that_is_a_fifo_does_not_hold_up_root(deployer: Any, host: Any) -> None:
    path = f"/srv/app/releases/{OTHER}.json"
    record = f"/srv/app/releases/{RELEASE}.json"
    deployer.check_output(f'mkfifo {path}; printf \'{{"cause": "\\\\u001b]0;x\\\\u0007"}}\' > {record}')
    began = time.monotonic()
    answer = host.run("timeout 20 slipway status")
    deployer.check_output(f"rm {path} {record}")
    assert answer.rc == 0, answer.stderr
    assert time.monotonic() - began < 20
    assert "\x1b" not in answer.stdout
