"""A person changes the host by hand, and the status names each change. The scenario provisions next, which repairs the host."""

import json
from typing import Any

BY_HAND = {
    "added": ["/etc/app/secrets/BY_HAND", "/etc/systemd/system/app@.service.d/99-by-hand.conf"],
    "changed": ["/etc/nginx/slipway/generated/values.conf", "/etc/polkit-1/rules.d/50-slipway.rules"],
    "removed": ["/etc/logrotate.d/nginx"],
}


def test_what_was_changed_by_hand_is_named(host: Any, deployer: Any) -> None:
    content, mode = BY_HAND["changed"]
    host.check_output(f"touch {' '.join(BY_HAND['added'])} && echo '# by hand' >>{content} && chmod 0664 {mode}")
    host.check_output(f"rm {' '.join(BY_HAND['removed'])}")
    # The same content and mode at another time is no difference.
    host.check_output("touch /etc/slipway/config.json /usr/local/bin/slipway")
    host.check_output("systemctl start drift.service")
    told = json.loads(deployer.check_output("slipway status --json"))["drift"]
    assert told["state"] == "differs"
    assert {how: told[how] for how in BY_HAND} == BY_HAND
    assert "  drift     removed /etc/logrotate.d/nginx" in deployer.check_output("slipway status").splitlines()
