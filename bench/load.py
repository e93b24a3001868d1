"""What a load of requests got, and what it cost the units that answered. The load runs on the host itself."""

import re

from bench.host import BenchError, Host, say

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
"""Milliseconds of what wrk prints."""


def load(host: Host, name: str, url: str, units: str, connections: int, seconds: int) -> dict[str, float]:
    """Ask for some seconds, each connection again as soon as it has its answer.

    Returns the requests per second (`rate`), the 99th percentile (`p99_ms`), the units' CPU time for one request
    (`cpu_us`) and how many CPUs they kept busy (`cores`).

    Raises:
        BenchError: an answer was an error.
    """
    before = _cpu(host, units)
    said = host.shell(f"wrk --threads 2 --connections {connections} --duration {seconds} --timeout 10 --latency {url}")
    used = _cpu(host, units) - before
    try:
        count, rate, p99 = parse(said)
    except ValueError as error:
        raise BenchError(f"{name} did not answer every request well:\n{said}") from error
    say(f"{name}: {rate:,.0f} requests/s, p99 {p99:.1f} ms")
    # All that the load cost, over the time that it took.
    return {"rate": rate, "p99_ms": p99, "cpu_us": used / count, "cores": used / 1e6 / (count / rate)}


def parse(said: str) -> tuple[int, float, float]:
    """Give the number of requests, how many a second, and the 99th percentile in milliseconds.

    Raises:
        ValueError: an answer was an error, or there was none.
    """
    count = re.search(r"([0-9]+) requests in", said)
    rate = re.search(r"Requests/sec:\s*([0-9.]+)", said)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)\b", said)
    if not rate or not p99 or not count or not int(count[1]) or "Non-2xx" in said or "Socket errors" in said:
        raise ValueError(said)
    return int(count[1]), float(rate[1]), float(p99[1]) * UNITS[p99[2]]


def memory(host: Host, unit: str) -> float:
    """The memory of all processes of a unit in MB: what they share is counted once (PSS)."""
    said = host.shell(f"""
        group=$(systemctl show --property=ControlGroup --value '{unit}' | head -n 1)
        for process in $(cat /sys/fs/cgroup$group/cgroup.procs); do
            grep '^Pss:' /proc/$process/smaps_rollup
        done
    """)
    return sum(int(line.split()[1]) for line in said.splitlines()) / 1024


def _cpu(host: Host, units: str) -> int:
    """The CPU time that units have used so far, in microseconds."""
    said = host.shell(f"""
        for group in $(systemctl show --property=ControlGroup --value {units} | grep .); do
            grep '^usage_usec' /sys/fs/cgroup$group/cpu.stat
        done
    """)
    return sum(int(line.split()[1]) for line in said.splitlines())
