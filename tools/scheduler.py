"""Runs the steps of tools/check: several at a time, except for those that measure."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

SUMMARY = re.compile(
    r"^(=+ .* in [0-9.]+s( \([0-9:]+\))? =+|[0-9]+ (passed|failed|error).* in [0-9.]+s( \([0-9:]+\))?)$"
)
"""The last line of a test runner."""
TAIL_LINES = 100
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MARGIN = re.compile(r"^ *│ ?")
"""What Molecule puts before each line of a playbook."""
HEADER = re.compile(r"^_+ .* _+$")
"""What pytest puts above a test that failed: as few as one on each side of a long name."""
REASON = re.compile(rf"^(FAILED |ERROR |E  |fatal: |CRITICAL |error: |\[ERROR\]| *(stderr|msg): )|{HEADER.pattern}")
"""A line that says why a step failed, in the output of pytest, Ansible, Molecule and our own tools."""
MAX_DIFFERENCE = 4
"""How many lines of one assertion of pytest's: the first say what is wrong, the others are the difference."""
MAX_REASONS = 25
MAX_REASON_LENGTH = 400
"""In characters: Ansible prints a whole result in one line."""

LONG_SECONDS = 60


@dataclass(frozen=True)
class Step:
    """One check: a function of tools/steps, with an argument or without."""

    name: str
    sets: str
    """The sets that it is part of, separated by spaces."""
    argument: str = ""
    alone: bool = False
    """Whether it measures rates or times, which other steps on the same cores would change."""

    @property
    def title(self) -> str:
        """The step's name in the report and in the name of its log."""
        return f"{self.name}_{self.argument}" if self.argument else self.name


@dataclass(frozen=True)
class Result:
    """How a step ended."""

    step: Step
    log: Path
    status: int
    """The exit status."""
    seconds: float
    cpu_seconds: float
    """Of the step's own processes, without what Docker ran for it."""

    def __str__(self) -> str:
        outcome = "ok" if self.status == 0 else "FAILED"
        return f"{self.step.title:<20} {self.seconds:5.0f} s  cpu {self.cpu_seconds:4.0f} s  {outcome}"


def busy_seconds() -> tuple[float, float]:
    """Return the CPU time that all processes of the machine have used, in Docker too, and that all its cores had."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    ticks = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - fields[3] - fields[4]) / ticks, sum(fields) / ticks


def plain_lines(log: Path) -> list[str]:
    """Return a step's output without colours and Molecule's margin."""
    return [MARGIN.sub("", line) for line in COLOUR.sub("", log.read_text(errors="replace")).splitlines()]


def reasons(log: Path) -> list[str]:
    """Return the last lines of a step's output that say why it failed, each cut to MAX_REASON_LENGTH characters."""
    chosen, of_assertion = list[str](), 0
    for line in plain_lines(log):
        # Other lines do not end it: Molecule wraps long ones.
        of_assertion = 0 if HEADER.match(line) else of_assertion + line.startswith("E  ")
        if REASON.match(line) and (of_assertion <= MAX_DIFFERENCE or not line.startswith("E  ")):
            chosen.append(line[:MAX_REASON_LENGTH])
    return chosen[-MAX_REASONS:]


class Scheduler:
    """Starts steps in their order. A failure ends that, unless told to keep going: those that run are waited for."""

    def __init__(self, program: Path, logs: Path, *, jobs: int, keep_going: bool = False) -> None:
        """`program` runs a step, given its name and argument; at most `jobs` of them run at a time."""
        self._program, self._logs, self._jobs, self._keep_going = program, logs, jobs, keep_going

    def run(self, steps: list[Step]) -> int:
        """Run the steps and print a summary. Returns 0, or 1 if one failed."""
        began, (busy, all_) = time.monotonic(), busy_seconds()
        self._logs.mkdir(parents=True, exist_ok=True)
        results = self._run_all(steps)
        busy_now, all_now = busy_seconds()
        share = (busy_now - busy) / max(all_now - all_, 0.01)
        print(f"\n== summary ({time.monotonic() - began:.0f} s, cores {share:.0%} busy)")
        results.sort(key=lambda result: steps.index(result.step))
        for result in results:
            print(result)
        for result in results:
            for line in plain_lines(result.log):
                if SUMMARY.match(line):
                    print(line)
        sys.stdout.flush()
        failed = [result for result in results if result.status]
        for result in failed:
            # Once more, and last: of a long output many a CI shows only the end.
            print(*reasons(result.log), sep="\n", file=sys.stderr)
            print(f"error: {result.step.title} failed: its whole output is in {result.log}", file=sys.stderr)
        if failed:
            long = (f"{result.step.title} {result.seconds:.0f}" for result in results if result.seconds > LONG_SECONDS)
            print("seconds:", *long, file=sys.stderr)
        return 1 if failed else 0

    def _run_all(self, steps: list[Step]) -> list[Result]:
        waiting, results = list(steps), list[Result]()
        running: dict[Future[Result], Step] = {}
        with ThreadPoolExecutor(self._jobs) as pool:
            while waiting or running:
                while waiting and self._may_start(waiting[0], list(running.values())):
                    step = waiting.pop(0)
                    print(f"== {step.title}", flush=True)
                    running[pool.submit(self._run, step, echo=len(steps) == 1)] = step
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    result = future.result()
                    results.append(result)
                    self._tell(result, shown=len(steps) == 1)
                    if result.status and not self._keep_going:
                        waiting.clear()
        return results

    def _may_start(self, step: Step, running: list[Step]) -> bool:
        if step.alone or any(other.alone for other in running):
            return not running
        return len(running) < self._jobs

    def _run(self, step: Step, *, echo: bool) -> Result:
        log = self._logs / f"check-{step.title}.log"
        command = [str(self._program), step.name, *([step.argument] if step.argument else [])]
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if echo else output,
                stderr=subprocess.STDOUT,
            )
            if process.stdout:
                with process.stdout as lines:
                    for line in lines:
                        output.write(line)
                        sys.stdout.write(line.decode(errors="replace"))
                        sys.stdout.flush()
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        return Result(step, log, process.returncode, time.monotonic() - began, cpu)

    @staticmethod
    def _tell(result: Result, *, shown: bool) -> None:
        if result.status and not shown:
            print(*result.log.read_text(errors="replace").splitlines()[-TAIL_LINES:], sep="\n")
        print(result, flush=True)
