"""tools/steps: nothing that is to be checked is left out silently."""

import re
import subprocess

from tools.checkout import ROOT


def test_a_folder_of_tests_without_a_step_is_run_with_the_unit_tests() -> None:
    steps = (ROOT / "tools/steps").read_text()
    left_out = re.findall(r"tests/(\w+)/(?= \||\))", steps)
    assert len(left_out) > 5
    for folder in left_out:
        assert (ROOT / "tests" / folder).is_dir()
        assert re.search(rf"pytest .*tests/{folder}\b", steps), f"no step runs tests/{folder}"


def test_an_unknown_step_is_an_error() -> None:
    done = subprocess.run([ROOT / "tools/steps", "no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage: tools/steps STEP" in done.stderr
