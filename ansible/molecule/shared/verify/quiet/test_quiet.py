"""A site that few people use: what they see of a bad release is little, and must be enough."""

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from deploys import Deploy, Site

MOST = 5
"""Three in simulations, where turns are exact. nginx's workers do not take theirs in step."""


def test_a_release_that_always_fails_is_taken_back_after_few_failures(deployer: Any, ask: Callable[..., Any]) -> None:
    """At two requests a second, of which its canary gets one in five seconds."""
    site = Site(deployer)
    old = site.status()["live"]
    deploy = Deploy("route")
    answers: Counter[int] = Counter()
    while deploy.process.poll() is None:
        answers[ask("/no-such-link").status] += 1
        time.sleep(0.5)
    assert deploy.wait() != 0
    told = re.search(
        r"failed in watch-canary: it fails more often than the release before it: (\d) of \1 failed", deploy.said
    )
    assert told, deploy.said
    assert int(told[1]) <= MOST
    assert site.status()["live"] == old
    assert answers[500] <= MOST
    assert answers.keys() <= {404, 500}
