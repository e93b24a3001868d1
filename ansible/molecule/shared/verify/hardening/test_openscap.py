"""CIS level 1 by OpenSCAP. Debian packages no CIS profile for Debian: the nearest is Ubuntu 24.04's (a draft), without its check of the system."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONTENT = "/usr/share/xml/scap/ssg/content/ssg-ubuntu2404-ds.xml"
PROFILE = "xccdf_org.ssgproject.content_profile_cis_level1_server"
# Most rules also ask for a machine with a kernel of its own, which a container is not; their files are there.
PLATFORMS = 'cpe:/o:canonical:ubuntu_linux:24.04[^"]*|#machine|#not_container|#system_with_kernel'
LEAST_PASSED = 200


@pytest.mark.catalogue
def test_cis_level_1_fails_what_is_listed_and_nothing_else(host: Any) -> None:
    packages = "openscap-scanner ssg-debderived"
    host.check_output(f"NEEDRESTART_SUSPEND=1 apt-get install --yes --quiet --no-install-recommends {packages}")
    try:
        host.check_output(
            "sed --regexp-extended %s %s >/root/cis.xml", f's,<xccdf-1.2:platform idref="({PLATFORMS})" ?/>,,', CONTENT
        )
        # 2: rules failed.
        evaluated = host.run_expect([0, 2], f"cd /root && oscap xccdf eval --profile {PROFILE} cis.xml")
    finally:
        host.check_output(f"rm -f /root/cis.xml && NEEDRESTART_SUSPEND=1 apt-get purge --yes --quiet {packages}")
    results = re.findall(
        r"^Rule\s+\S+content_rule_(\S+)\s+(?:Ident.*\s+)*Result\s+(\w+)", evaluated.stdout, re.MULTILINE
    )
    listed = [
        rule for each in yaml.safe_load(Path(__file__).with_name("cis.yml").read_text()) for rule in each["rules"]
    ]
    failed = {rule for rule, result in results if result == "fail"}
    assert {rule for rule in failed if not any(re.fullmatch(pattern, rule) for pattern in listed)} == set()
    assert sum(result == "pass" for _, result in results) >= LEAST_PASSED
