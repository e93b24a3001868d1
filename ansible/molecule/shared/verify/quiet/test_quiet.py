"""A site that few people use: what they see of a bad release is little, and must be enough."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from deploys import Deploy, Site

MOST = 35
"""Failures in simulations where by chance the canary got too few requests to tell."""


def test_a_release_that_always_fails_is_taken_back(deployer: Any, ask: Callable[..., Any]) -> None:
    """At two requests a second, of which its canary gets one in five seconds, or none."""
    site = Site(deployer)
    old = site.status()["live"]
    deploy = Deploy("route")
    answers: Counter[int] = Counter()
    while deploy.process.poll() is None:
        answers[ask("/no-such-link").status] += 1
        time.sleep(0.5)
    assert deploy.wait() != 0, f"it went live, and failed {answers[500]} requests"
    assert "the new release fails more often than the old one" in deploy.output, deploy.output
    assert site.status()["live"] == old
    assert 3 <= answers[500] <= MOST
    assert answers.keys() <= {404, 500}
