"""What a client can do who wants good releases to be aborted: choose requests, not slices."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from slipway.engine.access_log import Attempt
from slipway.engine.canary_analysis import Limits, Sample, suspect, worse
from slipway.engine.watch import SUSPECT_SECONDS, WEIGHTS

LIMITS = Limits(errors=0.01, slower=3.0)
DEPLOYS = int(os.environ.get("SLIPWAY_DEPLOYS", "60"))
"""Simulated for each case. With 1000 at most 4 were aborted (docs/explanation/canary-analysis.md)."""
RATE = 50
"""Requests a second, of all clients."""
QUICK, SLOW = Attempt("", 0, 200, 0.01), Attempt("", 0, 200, 1.0)
FAILING = Attempt("", 0, 500, 0.01)
"""Of both releases alike: a mistake that the old one has, too."""


@dataclass
class Seen:
    """What the adversary knows: each response tells which release it came from."""

    watch: str = "canary"
    new: list[Attempt] = field(default_factory=list)
    old: list[Attempt] = field(default_factory=list)

    def ahead(self, bad: Attempt) -> bool:
        """Whether the new release looks worse just now."""
        shares = [sum(each is bad for each in sent) / (len(sent) or 1) for sent in (self.new, self.old)]
        return shares[0] >= shares[1]


Strategy = Callable[[Seen, random.Random], Attempt]
"""Chooses the next request. Which slice gets it is drawn afterwards."""
STRATEGIES: dict[str, Strategy] = {
    "only slow requests": lambda _seen, _chooser: SLOW,
    "only failing requests": lambda _seen, _chooser: FAILING,
    "half of them slow": lambda _seen, chooser: chooser.choice((SLOW, QUICK)),
    "one in ten fails": lambda _seen, chooser: FAILING if chooser.random() < 0.1 else QUICK,
    "slow ones while the new release looks slow": lambda seen, _chooser: SLOW if seen.ahead(SLOW) else QUICK,
    "slow ones until the new release looks slow": lambda seen, _chooser: QUICK if seen.ahead(SLOW) else SLOW,
    "failing ones while the new release looks bad": lambda seen, _chooser: FAILING if seen.ahead(FAILING) else QUICK,
    "failing ones until the new release looks bad": lambda seen, _chooser: QUICK if seen.ahead(FAILING) else FAILING,
    "slow ones after the cutover": lambda seen, _chooser: SLOW if seen.watch == "live" else QUICK,
}


def aborted(chooser: random.Random, share: float, strategy: Strategy, foreseen: bool = False) -> bool:
    """Whether a release that is as good as the old one is aborted: both watches of a deploy, five seconds or longer.

    `share` of the requests are the adversary's. `foreseen`: the adversary knows the slice before choosing the request.
    """
    before, seen = Sample(), Seen()
    for watch in ("canary", "live"):
        seen.watch, new, old, look = watch, Sample(), Sample(), 0
        while look < 25 or (suspect(new, old, before, LIMITS) and look < SUSPECT_SECONDS[watch] * 5):
            look += 1
            for _ in range(RATE // 5):
                to_new = chooser.random() < WEIGHTS[watch]
                attempt = QUICK
                if chooser.random() < share:
                    attempt = (SLOW if to_new else QUICK) if foreseen else strategy(seen, chooser)
                    (seen.new if to_new else seen.old).append(attempt)
                (new if to_new else old).add(attempt)
            if worse(new, old, before, LIMITS, look >= 25):
                return True
        before = old
    return False


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_choice_of_requests_vetoes_a_deploy(strategy: str, share: float) -> None:
    chooser = random.Random(11)
    vetoed = sum(aborted(chooser, share, STRATEGIES[strategy]) for _ in range(DEPLOYS))
    assert vetoed <= max(1, DEPLOYS * 4 // 1000), vetoed


def test_knowing_the_slice_does() -> None:
    """So this simulation can fail; and why the slice is drawn by nginx, from nothing that a client sends or counts."""
    chooser = random.Random(11)
    assert all(aborted(chooser, 0.5, STRATEGIES["only slow requests"], foreseen=True) for _ in range(10))
