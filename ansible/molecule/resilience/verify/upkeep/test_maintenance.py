"""`slipway maintenance` on a host: from outside, through a deploy and a restart of nginx."""

from typing import Any

import pytest
from deploys import Deploy

from tools.checkout import APP_IMAGES


@pytest.mark.catalogue  # tests/nginx asks nginx, tests/engine deploys
def test_it_holds_through_a_deploy_until_it_is_off(host: Any, deployer: Any, ask: Any, status: Any) -> None:
    before = status["live"]
    deployer.check_output("slipway maintenance on --message 'Back at 10' --by alice")
    try:
        assert (
            ask("/").status,
            ask("/").headers["retry-after"],
            ask("/").json["detail"],
        ) == (503, "60", "Back at 10")
        assert "Back at 10" in ask("/", Accept="text/html").body.decode()
        assert ask("/readyz").status == 200
        deploy = Deploy(image=f"{APP_IMAGES}:molecule-attacker")
        assert deploy.wait() == 0, deploy.output
        host.check_output("systemctl restart nginx")
        assert ask("/").status == 503
        shown = deployer.check_output("slipway status")
        assert "MAINTENANCE since" in shown
        assert ", by alice: clients get 503 with 'Back at 10'" in shown
        assert before not in shown.split("live ", 1)[1].split()[0]
    finally:
        deployer.check_output("slipway maintenance off")
    assert ask("/").status != 503
