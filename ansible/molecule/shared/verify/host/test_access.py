"""Who may do what on the host."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ssh_audit
import testinfra
from deploys import NAME
from ssh_audit.builtin_policies import BUILTIN_POLICIES

from tools.checkout import container


def test_a_deployer_has_no_sudo(deployer: Any) -> None:
    assert deployer.run("sudo -n true").rc != 0


@pytest.mark.parametrize(
    "path",
    [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/slipway/generated/values.conf",
        "/etc/systemd/system/app@.service",
        "/etc/systemd/system/app@.service.d/30-settings.conf",
        "/etc/slipway/config.json",
        "/etc/ssh/authorized_keys.d/deploy",
        "/etc/ssh/sshd_config.d/50-slipway.conf",
        "/usr/local/bin/slipway",
        "/usr/local/lib/slipway/slipway/engine/cli.py",
    ],
)
def test_a_deployer_can_read_but_not_write(deployer: Any, path: str) -> None:
    assert deployer.run(f"test -r {path} -a ! -w {path} -a ! -w $(dirname {path})").rc == 0


@pytest.mark.parametrize("path", ["/etc/app", "/etc/app/secrets/EXAMPLE_SECRET", "/etc/app/secrets.key", "/etc/shadow"])
def test_a_deployer_cannot_read_secrets_of_root(deployer: Any, path: str) -> None:
    assert deployer.run(f"ls {path} && cat {path}").rc != 0


@pytest.mark.parametrize("unit", ["nginx.service", "ssh.service", "app@x.timer", "app@../x.service"])
def test_a_deployer_cannot_touch_units_that_are_not_the_apps(deployer: Any, unit: str) -> None:
    attempt = f"systemctl --no-ask-password $verb '{unit}' && echo allowed: $verb"
    assert deployer.run(f"for verb in stop restart start; do {attempt}; done").stdout == ""


def test_a_deployer_writes_no_unit_of_the_host(deployer: Any) -> None:
    # Not links: those of masked units lead to /dev/null.
    assert deployer.run("find $(systemd-analyze unit-paths) -maxdepth 1 -writable ! -type l").stdout == ""


def test_a_deployer_does_not_become_root_by_a_transient_unit(deployer: Any, host: Any) -> None:
    call = (
        "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
        "StartTransientUnit 'ssa(sv)a(sa(sv))' app@20260101T000000-abcdef0.timer replace 1 OnActiveSec t 1 "
        "1 app@20260101T000000-abcdef0.service 1 ExecStart 'a(sasb)' 1 /usr/bin/touch 2 /usr/bin/touch /root/taken false"
    )
    assert deployer.run(call).rc != 0
    assert not host.file("/root/taken").exists


def test_a_deployer_gets_no_forwarding(name: str, deployer: Any, host: Any) -> None:
    effective = host.check_output("sshd -T -C user=deploy,host=x,addr=127.0.0.1").splitlines()
    assert "disableforwarding yes" in effective
    assert "authorizedkeysfile /etc/ssh/authorized_keys.d/%u" in effective
    assert "permittunnel no" in effective


def test_a_deployer_cannot_add_a_key(deployer: Any, host: Any, name: str) -> None:
    keys = host.file("/etc/ssh/authorized_keys.d/deploy")
    assert keys.user == "root"
    assert all(
        line.startswith(("#", "restrict ", 'restrict,command="/usr/local/bin/slipway status --json" '))
        for line in keys.content_string.splitlines()
    )


def test_the_engine_tells_others_whom_it_is_for(host: Any) -> None:
    answer = host.run("slipway rollback")
    assert answer.rc == 2
    assert "sudo -u deploy slipway rollback" in answer.stderr


def test_everybody_may_ask_for_the_status(host: Any) -> None:
    assert host.run("slipway status").rc == 0


def test_the_apps_user_cannot_log_in(deployer: Any, name: str) -> None:
    with pytest.raises(RuntimeError, match="Permission denied"):
        testinfra.get_host(f"ssh://app@{name}", ssh_config=deployer.backend.ssh_config).run("true")


def test_nobody_logs_in_with_a_password(host: Any) -> None:
    effective = host.check_output("sshd -T -C user=root,host=x,addr=127.0.0.1").splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no"} <= set(effective)


AUDITED = {
    "debian 12": "Hardened Debian 12 (version 3)",
    "debian 13": "Hardened Debian 13 (version 1)",
    "ubuntu 24.04": "Hardened Ubuntu Server 24.04 LTS (version 2)",
    "ubuntu 26.04": "Hardened Ubuntu Server 26.04 LTS (version 1)",
}
"""ssh-audit's policy for each system."""


def test_ssh_has_the_algorithms_of_ssh_audits_policy(host: Any, docker: str) -> None:
    """From the host itself: sshd keeps a client waiting for some time that breaks off as often as ssh-audit does."""
    package = Path(ssh_audit.__file__).parent
    copied = f"{container(NAME)}:/root/ssh_audit"
    subprocess.run([docker, "cp", str(package), copied], check=True, capture_output=True)
    # Of Debian without the point release.
    system = f"{host.system_info.distribution} {host.system_info.release}"
    system = re.sub(r"^(debian \d+).*", r"\1", system)
    chosen = f"'{AUDITED[system]}'"
    if system in {"debian 12", "ubuntu 24.04"}:
        # These policies have algorithms whose list of moduli is shortened, and that of Debian is newer than the system's
        # OpenSSH: fewer algorithms do as well.
        chosen = "/root/policy.txt"
        policy: dict[str, Any] = dict(BUILTIN_POLICIES[AUDITED[system]])
        fields = {"host keys": "host_keys", "key exchanges": "kex", "ciphers": "ciphers", "macs": "macs"}
        lines = [f"{field} = {', '.join(policy[key])}" for field, key in fields.items()]
        lines += [f"allow_{kind}_subset_and_reordering = true" for kind in ("algorithm", "hostkey")]
        lines += [f'name = "{system}"', "version = 1"]
        host.run("printf %%s %s > /root/policy.txt", "\n".join(lines))
    audit = f"python3 -m ssh_audit.ssh_audit -P {chosen} 127.0.0.1"
    answer = host.run(f"cd /root && {audit}; rc=$?; rm -r ssh_audit; exit $rc")
    assert answer.rc == 0, answer.stdout + answer.stderr


def test_the_firewall_is_in_force_from_the_start(host: Any) -> None:
    """Also after a restart of the host, which comes between the two runs of this file."""
    if NAME == "molecule-default":
        assert "policy drop" in host.check_output("nft list chain inet slipway_firewall input")
        assert host.service("firewall").is_enabled
    else:
        assert host.run("nft list table inet slipway_firewall").rc != 0
