"""Canary analysis: a worse release is rejected, an equal one is not."""

import random
from fractions import Fraction
from math import comb

import pytest

from slipway.engine.access_log import Attempt
from slipway.engine.canary_analysis import Limits, Sample, fisher_p_value, silent, suspect, worse
from slipway.engine.watch import SUSPECT_SECONDS, UNSEEN_SECONDS, WEIGHTS

LIMITS = Limits(errors=0.01, slower=3.0)
UNKNOWN = Sample()
"""The sample of the old release with the larger share, where there is none."""


def sample(good: int = 0, bad: int = 0, seconds: float = 0.01) -> Sample:
    made = Sample()
    for _ in range(good):
        made.add(Attempt("live", 0, 200, seconds))
    for _ in range(bad):
        made.add(Attempt("live", 0, 500, seconds))
    return made


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Fisher's lady tasting tea: 4 of 4 right, and 3 or more of 4.
        ((4, 4, 0, 4), 1 / 70),
        ((3, 4, 1, 4), 17 / 70),
        ((0, 10, 5, 10), 1.0),
    ],
)
def test_fishers_exact_test(table: tuple[int, int, int, int], expected: float) -> None:
    assert fisher_p_value(*table) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("table", [(5, 20, 2, 100), (7, 40, 11, 360), (1, 3, 0, 500), (60, 200, 300, 1800)])
def test_it_is_the_tail_of_the_hypergeometric_distribution(table: tuple[int, int, int, int]) -> None:
    bad_new, tries_new, bad_old, tries_old = table
    bad, tries = bad_new + bad_old, tries_new + tries_old
    tail = sum(comb(tries_new, k) * comb(tries_old, bad - k) for k in range(bad_new, min(bad, tries_new) + 1))
    assert fisher_p_value(*table) == pytest.approx(float(Fraction(tail, comb(tries, bad))), rel=1e-6)


def test_it_takes_no_time_with_many_requests() -> None:
    assert fisher_p_value(900, 10_000, 1000, 90_000) < 1e-100
    assert fisher_p_value(100_000, 1_000_000, 900_000, 9_000_000) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (sample(bad=4), sample(good=36)),  # a quiet site, everything fails
        (sample(bad=8), sample(good=8)),  # no traffic: probes only
        (sample(good=70, bad=30), sample(good=900)),  # one route of three
        (sample(good=9_800, bad=200), sample(good=90_000)),  # a busy site, two in a hundred
    ],
)
def test_failing_more_is_worse(new: Sample, old: Sample) -> None:
    assert "`release_watch_errors` allows 1.0% more" in str(worse(new, old, UNKNOWN, LIMITS))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Sample(), Sample()),
        (sample(good=10), sample(good=90)),
        (sample(good=9, bad=1), sample(good=90)),  # one failure is no proof
        (sample(bad=10), sample(bad=90)),  # the release before it is what is broken
        (sample(good=70, bad=30), sample(good=630, bad=270)),
        (sample(good=99_500, bad=500), sample(good=900_000)),  # sure, and less than what the site allows
    ],
)
def test_failing_as_much_as_before_is_not(new: Sample, old: Sample) -> None:
    assert worse(new, old, UNKNOWN, LIMITS) is None


@pytest.mark.parametrize(
    ("new", "old", "share", "expected"),
    [
        (0, 95, 0.1, True),
        (0, 60, 0.1, False),  # too few to tell
        (10, 90, 0.1, False),
        (6, 94, 0.1, False),
        (100, 900, 0.1, False),
        (20, 980, 0.1, True),
        (1000, 9000, 0.1, False),
        (5, 10, 0.9, True),
        (8, 2, 0.9, False),
        (30, 100, 0.9, True),
        (0, 0, 0.1, False),
    ],
)
def test_a_release_that_gets_requests_and_does_not_answer(new: int, old: int, share: float, expected: bool) -> None:
    assert silent(new, old, share) is expected


@pytest.mark.parametrize("size", [12, 100, 3000])
def test_ten_times_slower_is_worse(size: int) -> None:
    reason = str(worse(sample(good=size, seconds=0.05), sample(good=9 * size, seconds=0.005), UNKNOWN, LIMITS))
    assert "medians 50 and 5 ms" in reason
    assert "`release_watch_slower` allows 3 times" in reason


@pytest.mark.parametrize(("old", "new"), [(0.001, 0.015), (0.1, 0.25), (0.05, 0.005)])
def test_a_little_slower_is_not(old: float, new: float) -> None:
    assert worse(sample(good=500, seconds=new), sample(good=4500, seconds=old), UNKNOWN, LIMITS) is None


def test_a_tail_of_slow_answers_that_both_have_is_not() -> None:
    chooser = random.Random(1)
    new, old = Sample(), Sample()
    for index in range(5000):
        each = Attempt("live", 0, 200, chooser.lognormvariate(-4, 1.5))
        (old if index % 10 else new).add(each)
        assert worse(new, old, UNKNOWN, LIMITS) is None if index % 50 == 0 else True


@pytest.mark.parametrize("errors", [0.0, 0.02, 0.3])
def test_an_equal_release_is_hardly_ever_rejected(errors: float) -> None:
    """Whole watches, 50 looks each, at 150 requests per second."""
    chooser = random.Random(7)
    wrong = 0
    for _ in range(200):
        new, old = Sample(), Sample()
        for _ in range(50):
            for index in range(30):
                bad = chooser.random() < errors
                (old if index % 10 else new).add(Attempt("live", 0, 500 if bad else 200, 0.01))
            if worse(new, old, UNKNOWN, LIMITS):
                wrong += 1
                break
    assert wrong <= 1


@pytest.mark.parametrize(("rate", "most"), [(3, 199), (30, 25)])
def test_a_failing_release_on_a_busy_site_is_rejected_soon(rate: int, most: int) -> None:
    """A tenth of the requests go to it, one in three of them fails. `rate` in requests at each look."""
    chooser = random.Random(3)
    for _ in range(20):
        new, old, looks = Sample(), Sample(), 0
        while not worse(new, old, UNKNOWN, LIMITS) and looks < 200:
            looks += 1
            for index in range(rate):
                bad = index % 10 == 0 and chooser.random() < 1 / 3
                (old if index % 10 else new).add(Attempt("live", 0, 500 if bad else 200, 0.01))
        assert looks <= most


def watched(
    chooser: random.Random,
    rate: float,
    errors: tuple[float, float],
    outage: float = 0,
) -> tuple[str, int]:
    """Both watches of a deploy, of 5 s each if nothing is suspect, as `Watch.compare` has them.

    `rate` in requests a second, which come at random and go to a slice at random. `errors` are the shares that fail of the
    new and of the old release's. For the first `outage` seconds of the second watch all fail.
    Returns the watch in which the release was rejected (`canary`, `cutover` or nothing), and how many requests the
    new one failed.
    """
    failed, before = 0, UNKNOWN
    for name in ("canary", "cutover"):
        new, old, look = Sample(), Sample(), 0
        comes, late = chooser.expovariate(rate), False
        slice_of_new = "canary" if name == "canary" else "live"
        while (
            not late
            or (suspect(new, old, before, LIMITS) and look < SUSPECT_SECONDS[slice_of_new] * 5)
            or (name == "canary" and old.attempts and not new.attempts and look < UNSEEN_SECONDS * 5)
        ):
            look += 1
            while comes < look / 5:
                to_new = (chooser.random() < WEIGHTS["canary"]) == (name == "canary")
                bad = chooser.random() < errors[0 if to_new else 1] or (name == "cutover" and comes < outage)
                (new if to_new else old).add(Attempt("live", 0, 500 if bad else 200, 0.01))
                comes += chooser.expovariate(rate)
            late = look >= 25
            if worse(new, old, before, LIMITS, late):
                return name, failed + new.failed
        failed, before = failed + new.failed, old
    return "", failed


@pytest.mark.parametrize(("rate", "canary", "most"), [(1, 15, 45), (2, 55, 45), (3, 75, 45), (8, 98, 30), (30, 100, 8)])
def test_a_release_that_always_fails_is_rejected_on_a_quiet_site_too(rate: float, canary: int, most: int) -> None:
    """It is watched longer. In five seconds its tenth of the requests may have been none."""
    chooser = random.Random(3)
    results = [watched(chooser, rate, (1, 0)) for _ in range(100)]
    assert sum(name == "canary" for name, _ in results) >= canary
    assert sum(name == "" for name, _ in results) <= (45 if rate == 1 else 0)
    assert max(failed for _, failed in results) <= most


@pytest.mark.parametrize(("rate", "least"), [(3, 8), (8, 90), (30, 99)])
def test_a_release_that_fails_one_in_three_is_mostly_rejected(rate: float, least: int) -> None:
    chooser = random.Random(3)
    assert sum(bool(watched(chooser, rate, (1 / 3, 0))[0]) for _ in range(100)) >= least


@pytest.mark.parametrize(("rate", "errors"), [(1, 0.3), (3, 0.02), (3, 0.3), (30, 0.02), (30, 0.3)])
def test_a_longer_watch_hardly_ever_rejects_an_equal_release(rate: float, errors: float) -> None:
    chooser = random.Random(7)
    assert sum(bool(watched(chooser, rate, (errors, errors))[0]) for _ in range(200)) <= 1


@pytest.mark.parametrize("seconds", [1, 2, 5])
@pytest.mark.parametrize("rate", [3, 10, 30])
def test_an_outage_after_the_cutover_is_not_blamed_on_the_new_release(rate: float, seconds: float) -> None:
    """What the old one did before it is a reason to go on, and none to take the new one back."""
    chooser = random.Random(7)
    assert sum(bool(watched(chooser, rate, (0, 0), outage=seconds)[0]) for _ in range(50)) <= 1


def queued(chooser: random.Random, rate: float, service: float) -> Sample:
    """Three seconds of a worker that answers one request after the other: `rate` a second, `service` seconds each."""
    made, now, free = Sample(), 0.0, 0.0
    while (now := now + chooser.expovariate(rate)) < 3:
        free = max(free, now) + chooser.expovariate(1 / service)
        made.add(Attempt("live", now, 200, free - now))
    return made


@pytest.mark.parametrize("busy", [0.9, 1.0, 1.1])
def test_a_busy_machine_is_not_blamed_and_a_slow_release_is(busy: float) -> None:
    """Each release has workers of its own; `busy` is the share of their time that nine tenths of the requests take."""
    chooser, alone, equal, slow = random.Random(5), 0, 0, 0
    service = busy / 135
    for _ in range(100):
        before, old = queued(chooser, 135, service), queued(chooser, 15, service)
        new, slower = queued(chooser, 135, service), queued(chooser, 135, 3 * service)
        alone += bool(worse(new, old, UNKNOWN, LIMITS))
        equal += bool(worse(new, old, before, LIMITS))
        slow += bool(worse(slower, old, before, LIMITS))
    assert alone > 90, "compared with the smaller share alone, nearly all are called slow"
    assert equal <= 5
    assert slow >= 98


def test_the_figures_of_a_busy_machine_that_was_blamed_once() -> None:
    """78 of 132 answers were slow, and 1 of 15 of the smaller share; the machine had been as busy before."""
    new, old, before = sample(good=54), sample(good=14), sample(good=60)
    for made, slow in ((new, 78), (old, 1), (before, 60)):
        made.seconds += [0.2] * slow
    assert worse(new, old, UNKNOWN, LIMITS)
    assert worse(new, old, before, LIMITS) is None


def test_a_release_that_is_slow_only_with_the_larger_share_is_rejected() -> None:
    before, old, new = sample(good=300), sample(good=40), sample(good=300, seconds=0.1)
    reason = str(worse(new, old, before, LIMITS))
    assert "old: 0 of 40" in reason
    assert "when the old one had this share of the requests: 300 of 300" in reason


def test_failures_are_those_of_the_release_however_busy_the_machine_is() -> None:
    """What failed before may have been the database's, and only the old release may have found it again."""
    assert worse(sample(bad=100), sample(good=12), sample(good=50, bad=50), LIMITS)
