"""nginx's log, as the watch reads it."""

import json
from pathlib import Path

import pytest

from slipway.engine.access_log import Attempt, Follower, first_attempt

CANARY, LIVE = "unix:/srv/app/canary.sock", "unix:/srv/app/live.sock"


def line(addresses: str, statuses: str, seconds: str = "0.010", *, time: float = 100.0, took: float = 0.5) -> str:
    values: dict[str, object] = {"method": "GET", "uri": "/a", "request_id": "1f"}
    values |= {"time": time, "seconds": took, "status": 200, "upstream_addr": addresses}
    return json.dumps(values | {"upstream_status": statuses, "upstream_header_seconds": seconds})


def test_a_request_is_one_try_of_the_slice_that_answered() -> None:
    assert first_attempt(line(LIVE, "200")) == Attempt("live", 99.5, 200, 0.01, "GET /a (request 1f)")


def test_a_failure_that_the_other_slice_saved_counts_against_the_one_that_failed() -> None:
    only = first_attempt(line(f"{CANARY}, {LIVE}", "502, 200", "-, 0.020"))
    assert only is not None
    assert (only.slice, only.status, only.failed, only.seconds) == ("canary", 502, True, None)


def test_a_second_try_is_no_random_share_and_does_not_count() -> None:
    """A request that kills the app that answers it comes to both slices: to the smaller one nine times too often."""
    only = first_attempt(line(f"{LIVE}, {CANARY}, {LIVE}", "502, 502, 502", "-, -, -"))
    assert only is not None
    assert only.slice == "live"


def test_a_redirect_inside_of_nginx_separates_tries_as_well() -> None:
    only = first_attempt(line(f"{CANARY} : {LIVE}", "200 : 200", "0.1 : 0.2"))
    assert only is not None
    assert only.slice == "canary"


def test_a_client_that_left_is_nobodys_failure_but_waited() -> None:
    gone = json.loads(line(CANARY, "-", "-", took=0.7)) | {"status": 499}
    only = first_attempt(json.dumps(gone))
    assert only is not None
    assert (only.status, only.failed, only.seconds) == (499, False, 0.7)


def test_no_answer_is_bad() -> None:
    only = first_attempt(line(CANARY, "-", "-"))
    assert only is not None
    assert only.failed


@pytest.mark.parametrize("status", ["200", "307", "404", "422"])
def test_what_the_client_did_wrong_is_not_the_apps_fault(status: str) -> None:
    only = first_attempt(line(LIVE, status))
    assert only is not None
    assert not only.failed


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "{}", line("", ""), line("-", "-"), line("127.0.0.1:80", "200"), line(LIVE, "200")[:-9]],
)
def test_lines_that_are_not_about_the_app_are_left_out(text: str) -> None:
    assert first_attempt(text) is None


def statuses(follower: Follower) -> list[int | None]:
    return [each.status for each in follower.new()]


def test_only_what_is_added_is_read(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(line(LIVE, "200") + "\n")
    follower = Follower(log)
    assert statuses(follower) == []
    with log.open("a") as file:
        file.write(line(LIVE, "201") + "\n" + line(LIVE, "202")[:20])
        file.flush()
        assert statuses(follower) == [201]
        file.write(line(LIVE, "202")[20:] + "\n")
    assert statuses(follower) == [202], "half a line waits for its other half"
    follower.close()


def test_a_rotation_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.touch()
    follower = Follower(log)
    log.rename(tmp_path / "access.log.1")
    with (tmp_path / "access.log.1").open("a") as old:
        old.write(line(LIVE, "201") + "\n")
    assert statuses(follower) == [201], "nginx has not opened the new one yet"
    with (tmp_path / "access.log.1").open("a") as old:
        old.write(line(LIVE, "202") + "\n")
    log.write_text(line(LIVE, "203") + "\n")
    assert statuses(follower) == [202, 203]
    with log.open("a") as file:
        file.write(line(LIVE, "204") + "\n")
    assert statuses(follower) == [204]
    follower.close()
