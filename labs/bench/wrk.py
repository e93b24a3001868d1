"""Run wrk on a host for its highest rate of requests, and measure what that costs the units that answer."""

import re
import time

from labs.command import LabError, progress
from labs.host import Host

MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
"""By wrk's units."""
WAIT_SECONDS = 60


def install(host: Host) -> None:
    """Install wrk on a host."""
    host.shell("apt-get install -qq -y --no-install-recommends wrk >/dev/null")


def wait(host: Host, url: str) -> None:
    """Wait until requests are answered. wrk reports a rate of what is not, too.

    Raises:
        LabError: they are not within a minute.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        output = host.shell(f"wrk --threads 1 --connections 1 --duration 1 --latency {url} || :")
        try:
            parse(output)
        except ValueError as error:
            if time.monotonic() > deadline:
                raise LabError(f"{url} did not answer within {WAIT_SECONDS} s:\n{output}") from error
            time.sleep(0.3)
        else:
            return


def measure(host: Host, name: str, url: str, units: str, connections: int, seconds: int) -> dict[str, float]:
    """Send requests for some seconds, on each connection the next one after each response.

    Returns the requests per second (`rate`), the 99th percentile (`p99_ms`), the units' CPU time per request
    (`cpu_us`) and how many CPUs they kept busy (`cores`).

    Raises:
        LabError: a request failed.
    """
    before = _cpu_microseconds(host, units)
    load = f"--threads 2 --connections {connections} --duration {seconds}"
    output = host.shell(f"wrk {load} --timeout 10 --latency {url}")
    used = _cpu_microseconds(host, units) - before
    try:
        count, rate, p99 = parse(output)
    except ValueError as error:
        raise LabError(f"{name}: requests to {url} failed:\n{output}") from error
    progress("bench", f"{name}: {rate:,.0f} requests/s, p99 {p99:.1f} ms")
    return {"rate": rate, "p99_ms": p99, "cpu_us": used / count, "cores": used / 1e6 / (count / rate)}


def parse(output: str) -> tuple[int, float, float]:
    """Return the number of requests, their rate per second, and the 99th percentile in milliseconds.

    Raises:
        ValueError: a request failed, or none was answered.
    """
    count = re.search(r"([0-9]+) requests in", output)
    rate = re.search(r"Requests/sec:\s*([0-9.]+)", output)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)\b", output)
    if not rate or not p99 or not count or not int(count[1]) or "Non-2xx" in output or "Socket errors" in output:
        raise ValueError(output)
    return int(count[1]), float(rate[1]), float(p99[1]) * MILLISECONDS[p99[2]]


def _cpu_microseconds(host: Host, units: str) -> int:
    output = host.shell(f"""
        for group in $(systemctl show --property=ControlGroup --value {units} | grep .); do
            grep '^usage_usec' /sys/fs/cgroup$group/cpu.stat
        done
    """)
    return sum(int(line.split()[1]) for line in output.splitlines())
