import math
from pathlib import Path

import pytest

from server import sizing
from server.sizing import MIB, BadSettingError, plan


def make(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {"proc/self/cgroup": "0::/system.slice/app.service\n"}
OWN = "sys/fs/cgroup/system.slice/app.service"
V1 = {"proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n"}


@pytest.mark.parametrize(
    ("what", "contents", "quota"),
    [
        ("nothing is visible", {}, math.inf),
        ("v2 without a limit", V2 | {f"{OWN}/cpu.max": "max 100000\n"}, math.inf),
        ("v2", V2 | {f"{OWN}/cpu.max": "150000 100000\n"}, 1.5),
        ("v2, the slice is tighter", V2 | {f"{OWN}/cpu.max": "400000 100000", "sys/fs/cgroup/system.slice/cpu.max": "200000 100000"}, 2),
        ("v2 in a container", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ("v2, the path is the host's", V2 | {"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
        ("v2, the path leaves the namespace", {"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        ("v1", V1 | {"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n"}, 2.5),
        ("v1, mounted as cpu, from inside", V1 | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("v1 without a limit", V1 | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("rubbish", V2 | {f"{OWN}/cpu.max": "what\n"}, math.inf),
    ],
)  # fmt: skip
def test_the_quota_is_the_least_of_all_levels(
    tmp_path: Path, what: str, contents: dict[str, str], quota: float
) -> None:
    assert sizing.cpu_quota(make(tmp_path, contents)) == quota, what


@pytest.mark.parametrize(
    ("what", "contents", "limit"),
    [
        ("nothing is visible", {}, math.inf),
        ("v2", V2 | {f"{OWN}/memory.max": f"{512 * MIB}\n"}, 512 * MIB),
        ("v2 without a limit", V2 | {f"{OWN}/memory.max": "max\n"}, math.inf),
        ("v1", V1 | {"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{256 * MIB}\n"}, 256 * MIB),
        ("v1 without a limit", V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, math.inf),
        ("the machine is small", V2 | {"proc/meminfo": "MemTotal:  1048576 kB\nMemFree: 1 kB\n"}, 1024 * MIB),
    ],
)  # fmt: skip
def test_the_memory_is_the_least_of_all_levels(
    tmp_path: Path, what: str, contents: dict[str, str], limit: float
) -> None:
    assert sizing.memory_limit({}, make(tmp_path, contents)) == limit, what


@pytest.mark.parametrize(
    ("affinity", "quota", "env", "workers"),
    [
        (4, "max", {}, 4),
        (4, "max", {"WORKLOAD": "io"}, 8),
        (4, "200000", {}, 2),
        (2, "400000", {}, 2),
        (4, "150000", {}, 2),
        (4, "150000", {"WORKLOAD": "io"}, 3),
        (4, "10000", {}, 1),
        (4, "110000", {"WORKLOAD": "io"}, 3),
        (64, "max", {"MEMORY_MAX": "512M"}, 6),
        (64, "max", {"MEMORY_MAX": "64M"}, 1),
        (2000, "max", {"MEMORY_MAX": "infinity"}, 256),
        (4, "max", {"WEB_CONCURRENCY": "7"}, 7),
        (4, "max", {"WEB_CONCURRENCY": ""}, 4),
    ],
)
def test_the_plan(tmp_path: Path, affinity: int, quota: str, env: dict[str, str], workers: int) -> None:
    root = make(tmp_path, V2 | {f"{OWN}/cpu.max": f"{quota} 100000\n"})
    assert plan(env, root, affinity).workers == workers


def test_the_plan_says_why(tmp_path: Path) -> None:
    root = make(tmp_path, V2 | {f"{OWN}/cpu.max": "150000 100000\n"})
    assert plan({"WORKLOAD": "io"}, root, 4).why == "1.5 CPUs (affinity 4, quota 1.5) x 2 (WORKLOAD=io)"
    assert "room for 2" in plan({"WORKLOAD": "io", "MEMORY_MAX": "256M"}, root, 4).why


@pytest.mark.parametrize(
    ("env", "says"),
    [
        *(({"WEB_CONCURRENCY": value}, "type a whole number from 1 to 256") for value in ("0", "-1", "abc", "1.5", "257", "9" * 40, "٣")),
        *(({"MEMORY_MAX": value}, "MEMORY_MAX=512M") for value in ("0", "-1", "12", "1 GB", "abc", "512m")),
        *(({"WORKLOAD": value}, "type WORKLOAD=io") for value in ("IO", "2", "both")),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(tmp_path: Path, env: dict[str, str], says: str) -> None:
    with pytest.raises(BadSettingError, match=says) as error:
        plan(env, tmp_path, 4)
    (name,) = env
    assert str(error.value).startswith(f"{name}={env[name]!r}")
