"""The files of a local host: its keys, and how it is reached."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

from slipway.controller import certificates


def make_keys(directory: Path) -> None:
    """Make the key pairs of a host that it does not have yet: its own, admin's, and the two of deploy's."""
    for key in ("ssh_host_ed25519_key", "id_ed25519", "deploy_ed25519", "status_ed25519"):
        if (directory / key).exists():
            continue
        options = ["-q", "-t", "ed25519", "-N", "", "-C", directory.name]
        command = ["ssh-keygen", *options, "-f", str(directory / key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def files_for(directory: Path) -> bytes:
    """Return the files of a new host as a tar archive: keys, and the CAs that this machine trusts beyond Debian's."""
    host_key = directory / "ssh_host_ed25519_key"
    admin_key = (directory / "id_ed25519.pub").read_bytes()
    entries = [
        ("etc/ssh/ssh_host_ed25519_key", 0o600, 0, host_key.read_bytes()),
        ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, 0, host_key.with_suffix(".pub").read_bytes()),
        # The only host key there is; without this sshd complains about those it lacks.
        ("etc/ssh/sshd_config.d/testhost.conf", 0o644, 0, b"HostKey /etc/ssh/ssh_host_ed25519_key\n"),
        ("home/admin/.ssh/authorized_keys", 0o600, 1000, admin_key),
    ]
    entries += [
        (f"usr/local/share/ca-certificates/{certificate.name}", 0o644, 0, certificate.read_bytes())
        for certificate in certificates.extra()
    ]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("home/admin/.ssh")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, 1000, 1000
        archive.addfile(folder)
        for path, mode, owner, content in entries:
            info = tarfile.TarInfo(path)
            info.size, info.mode, info.uid, info.gid = len(content), mode, owner, owner
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def describe(directory: Path, published: dict[int, int], groups: list[str]) -> None:
    """Write down how a host is reached: for Ansible, for people, and for sshd's key.

    Args:
        directory: the host's, with its name.
        published: its ports, each with the one on 127.0.0.1.
        groups: its groups in the inventory.
    """
    make_keys(directory)
    name = directory.name
    host_key = (directory / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    deploy_key = (directory / "deploy_ed25519.pub").read_text().strip()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{published[22]} {' '.join(host_key)}\n")
    options = {
        "UserKnownHostsFile": f"{directory}/known_hosts",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityFile": f"{directory}/deploy_ed25519",
    }
    (directory / "ssh_config").write_text(
        f"Host {name}\n  HostName 127.0.0.1\n  Port {published[22]}\n  User admin\n"
        f"  IdentityFile {directory}/id_ed25519\n" + "".join(f"  {key} {value}\n" for key, value in options.items())
    )
    variables = {
        "ansible_host": "127.0.0.1",
        "ansible_port": published[22],
        "ansible_ssh_private_key_file": f"{directory}/id_ed25519",
        "ansible_ssh_common_args": " ".join(f"-o {key}={value}" for key, value in options.items()),
        "ansible_python_interpreter": "/usr/bin/python3",
        "host_deploy_keys": [deploy_key],
        "host_status_keys": [(directory / "status_ed25519.pub").read_text().strip()],
        "test_url": f"http://127.0.0.1:{published[80]}",
        "test_tls_url": f"https://127.0.0.1:{published[443]}",
    }
    # JSON is YAML, and needs no library here.
    inventory = json.dumps({group: {"hosts": {name: variables}} for group in groups}, indent=2)
    (directory / "inventory.yml").write_text(f"# Written by Slipway for the host on this machine.\n{inventory}\n")
