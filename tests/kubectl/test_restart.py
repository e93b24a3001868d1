"""`slipway restart` of an environment in a cluster."""

from tests.kubectl.conftest import Shop, image


def test_each_deployment_is_restarted_by_a_rolling_update_web_first(shop: Shop) -> None:
    before, live = shop.deploy(1), shop.deploy(2)
    shop.changes()
    status, printed = shop.slipway("restart", "production")
    assert (status, f"{live} is restarted." in printed) == (0, True)
    assert shop.changes() == [
        line
        for name in ("web", "worker", "beat")
        for line in (f"rollout restart deployment/{name}", f"rollout status deployment/{name}")
    ]
    # The release and the way back stay, also after a second one.
    assert shop.slipway("restart", "production")[0] == 0
    assert (shop.live(), set(shop.images().values())) == (live, {image(2)})
    assert shop.slipway("rollback", "production")[0] == 0
    assert (shop.live(), set(shop.images().values())) == (before, {image(1)})


def test_a_restart_that_fails_is_undone(shop: Shop) -> None:
    live = shop.deploy(1)
    shop.changes()
    shop.set(fails={"rollout status deployment/worker": "error: no"})
    status, printed = shop.slipway("restart", "production")
    assert status == 1
    assert f"restart of {live} failed in worker: " in printed
    assert "rollout undo deployment/worker --to-revision=1" in shop.changes()


def test_not_during_a_deploy(shop: Shop) -> None:
    live = shop.deploy(1)
    shop.set(jobs=[{"status": {"active": 1}}])
    shop.changes()
    status, printed = shop.slipway("restart", "production")
    assert (status, "a deploy to production is under way, or was cut off: migrations run." in printed) == (2, True)
    shop.set(jobs=[{"status": {"succeeded": 1}}], fails={"rollout (status deployment/web|undo .*)": "error: gone"})
    assert shop.slipway("deploy", "production", "--image", image(2))[0] == 1
    shop.set(fails={})
    shop.changes()
    status, printed = shop.slipway("restart", "production")
    assert (status, f"web not of {live}. Wait for its end, or return to {live}: slipway rollback" in printed) == (
        2,
        True,
    )
    assert shop.changes() == []


def test_nothing_is_live_and_a_cluster_has_no_hosts(shop: Shop) -> None:
    status, printed = shop.slipway("restart", "production")
    assert (status, "no release is live in production. Type: slipway deploy production" in printed) == (2, True)
    status, printed = shop.slipway("restart", "production", "--host", "www1")
    assert (status, "production is Kubernetes and has no hosts" in printed) == (2, True)
