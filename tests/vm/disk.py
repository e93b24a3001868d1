"""The disk of a bare VM: Debian 13 with its cloud kernel, sshd, and a login that may become root."""

import hashlib
import shutil
from pathlib import Path

import pytest

from slipway.controller.local.files import files_for, make_keys
from slipway.controller.program import as_root, logged

SUITE = "trixie"
SIZE = "4G"
"""As small as what providers offer."""
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-io": "qemu-utils",
    "nbdkit": "nbdkit",
    "mmdebstrap": "mmdebstrap",
    "dnsmasq": "dnsmasq-base",
}
"""What is needed, and the package that has it."""
PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "kmod", "dbus", "libpam-systemd"),
    *("systemd-resolved", "systemd-timesyncd", "iproute2", "procps", "openssh-server", "sudo", "ca-certificates"),
    *("python3", "python3-apt", "e2fsprogs"),
)
"""As on a provider's image."""
HOOK = """set -eu
root=$1 keys=$2
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/resolv.conf"
ln -s /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' >"$root/etc/systemd/network/10-dhcp.network"
chroot "$root" systemctl enable --quiet systemd-networkd systemd-resolved
chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/admin"
tar --extract --file "$keys" --directory "$root"
chroot "$root" update-ca-certificates
echo vm >"$root/etc/hostname"
# Without it each sudo waits ten seconds for a name server.
printf '127.0.0.1 localhost\\n127.0.1.1 vm\\n::1 localhost ip6-localhost ip6-loopback\\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"
"""


def build(folder: Path) -> Path:
    """Make the keys, the disk, the kernel and its initrd in a folder, unless they are there. Returns the disk.

    Raises:
        ProgramError: mmdebstrap or mkfs fails; the log is in the folder.
    """
    # A disk that was made by another version of this file is not used again.
    disk = folder / f"bare-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}.raw"
    if disk.exists():
        return disk
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.fail(f"a VM needs these packages: apt-get install --no-install-recommends {' '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    make_keys(folder)
    keys, hook, root, partial = (folder / name for name in ("keys.tar", "hook.sh", "root", "bare.partial"))
    keys.write_bytes(files_for(folder))
    hook.write_text(HOOK)
    mirrors = [
        f"deb http://deb.debian.org/debian {SUITE} main",
        f"deb http://deb.debian.org/debian {SUITE}-updates main",
        f"deb http://deb.debian.org/debian-security {SUITE}-security main",
    ]
    mmdebstrap = [
        # Its own mount namespace: mmdebstrap's mounts never reach the machine's, whatever happens.
        *("unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(PACKAGES)}",
        f'--customize-hook=sh {hook} "$1" {keys}',
        *(SUITE, str(root), *mirrors),
    ]
    steps = [
        ["rm", "-rf", str(root), str(partial), *map(str, folder.glob("*.raw"))],
        mmdebstrap,
        ["truncate", f"--size={SIZE}", str(partial)],
        ["mkfs.ext4", "-q", "-d", str(root), str(partial)],
        ["sh", "-euc", f"cp {root}/boot/vmlinuz-* {folder}/vmlinuz; cp {root}/boot/initrd.img-* {folder}/initrd"],
        ["chmod", "a+r", str(folder / "vmlinuz"), str(folder / "initrd"), str(partial)],
        ["rm", "-rf", str(root)],
    ]
    for command in steps:
        logged(as_root(command), folder / "build.log")
    return partial.rename(disk)
