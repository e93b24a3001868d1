"""After a deploy key was stolen: one command removes what it left, while the site serves, and the next deploy replaces the rest."""

import json
import re
import threading
from typing import Any

import attacker
from deploys import NAME, run_playbook

TRUSTED = {"/srv/app/.lock", "/srv/app/audit.jsonl", "/srv/app/current", "/srv/app/releases"}
PLANT = r"""
cd
echo 'echo evil' >> .bashrc
mkdir -p .ssh .config/systemd/user/default.target.wants
echo ssh-ed25519 AAAA evil > .ssh/authorized_keys
printf '[Service]\nExecStart=/bin/sleep 1000\n' > .config/systemd/user/evil.service
ln -s ../evil.service .config/systemd/user/default.target.wants/evil.service
for place in /tmp /var/tmp /dev/shm /srv/app /srv/app/releases; do mkdir -p $place/.evil/below; echo evil > $place/.evil/below/file; done
mkfifo /srv/app/releases/20200103T000000-abcdef0.json
ipcmk --shmem 1000 >/dev/null
# It ignores signals, listens, and starts others, for two minutes at most.
cat > /srv/app/evil.py <<'END'
import os, signal, socket, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"/srv/app/evil-{os.getpid()}.sock")
listener.listen()
end = time.monotonic() + 120
while time.monotonic() < end:
    if not os.fork():
        time.sleep(3)
        os._exit(0)
    time.sleep(0.05)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
END
for _ in 1 2 3; do setsid nohup python3 /srv/app/evil.py >/dev/null 2>&1 </dev/null & done
"""


def processes(host: Any) -> str:
    return str(host.run("ps -o pid=,args= -U deploy -u deploy | grep -v defunct").stdout)


def test_nothing_of_deploys_is_left(deployer: Any, host: Any, status: Any, ask: Any) -> None:
    live = status["live"]
    deployer.check_output("sh -c %s", PLANT)
    attacker.ship(deployer, status)
    attacker.fill(deployer)
    deployer.check_output(f"slipway ship-end {attacker.RELEASE}")
    deployer.check_output(f"systemctl --no-ask-password start app@{attacker.RELEASE}.service")
    deployer.check_output(f"systemctl --no-ask-password start point-canary@{attacker.RELEASE}.service")
    deployer.check_output(f"systemctl --no-ask-password start point-canary@{live}.service")
    host.check_output("loginctl enable-linger deploy; mkdir -p /var/spool/cron/crontabs /var/spool/cron/atjobs")
    for place in ("/var/spool/cron/crontabs/deploy", "/var/spool/cron/atjobs/a1", "/var/mail/deploy"):
        host.check_output(f"echo '* * * * * touch /tmp/evil' > {place} && chown deploy {place}")
    assert "evil.py" in processes(host)

    failed, done = [], threading.Event()

    def clients() -> None:
        while not done.wait(0.02):
            if (answer := ask("/readyz")).status != 200:
                failed.append(answer)

    client = threading.Thread(target=clients)
    client.start()
    try:
        answer = host.run("timeout 240 slipway clean")
    finally:
        done.set()
        client.join()
    assert answer.rc == 0, answer.stderr
    assert failed == []

    assert processes(host).strip() == ""
    home = host.check_output("getent passwd deploy | cut -d: -f6")
    left = set(host.run(f"find / -path /proc -prune -o -path {home} -prune -o -user deploy -print").stdout.split())
    assert f"/srv/app/releases/{live}.json" in left
    assert left <= {*TRUSTED, f"/srv/app/releases/{live}.json"}
    assert host.run(f"diff --recursive /etc/skel {home}").rc == 0
    assert host.check_output("ls /srv/app/sealed").split() == [live]
    assert not host.file("/var/lib/systemd/linger/deploy").exists
    assert "deploy" not in host.check_output("cat /proc/sysvipc/shm; ipcs --shmems")
    assert host.run(f"systemctl is-active app@{attacker.RELEASE}.service").rc != 0

    # What is live is not trusted until the next deploy.
    after = json.loads(deployer.check_output("slipway status --json"))
    assert (after["state"], after["live"], after["rollback_target"]) == ("healthy", live, None)
    assert [(each["release"], each["healthy"], each["identity"]) for each in after["releases"]] == [(live, False, {})]


def deploy() -> int:
    """Deploy the scenario's own image. Returns how many tasks changed something on the host."""
    done = run_playbook("deploy.yml")
    changed = re.search(rf"^{NAME} .* changed=(\d+)", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and changed, done.stdout + done.stderr
    return int(changed[1])


def test_other_files_under_the_name_of_the_live_image_are_replaced(deployer: Any, host: Any) -> None:
    """As if the attacker had shipped a file more, and others in place of two: the record says that it is the image."""
    deploy()
    assert deploy() == 0
    tree = host.check_output("readlink -f /srv/app/current")
    evil = "usr/lib/evil.pth"
    host.check_output(f"echo evil > {tree}/{evil} && sed --in-place '1i # evil' {tree}/app/app/main.py")
    host.check_output(
        f"chown sealer: {tree}/{evil} {tree}/app/app/main.py && chmod 0644 {tree}/{evil} {tree}/app/app/main.py"
    )
    assert deploy() > 0
    fresh = host.check_output("readlink -f /srv/app/current")
    assert fresh != tree
    assert host.run(f"grep -l evil {fresh}/{evil} {fresh}/app/app/main.py").stdout == ""
    assert deploy() == 0
