"""Which processes imported the app before they forked."""

import pytest

from slipway.contract.check import forked
from slipway.contract.container import Process


@pytest.mark.parametrize(
    ("parent", "child", "has_imported"),
    [
        ("python gunicorn app:app", "python gunicorn app:app", True),
        ("gunicorn: master [app]", "gunicorn: worker [app]", True),
        ("python uvicorn --workers 2", "python -c from multiprocessing.spawn import spawn_main", False),
        ("python /opt/venv/bin/granian app:app", "python /opt/venv/bin/granian app:app", False),
    ],
)
def test_a_server_that_imports_before_it_forks(parent: str, child: str, has_imported: bool) -> None:
    master = Process(1, 0, 2, parent)
    assert forked([master, Process(2, 1, 1, child)]) == ([master] if has_imported else [])
