"""The host's journal: each line of its settings is one that this systemd knows."""

from typing import Any


def test_journald_reads_its_settings(host: Any) -> None:
    wrong = host.run(
        "journalctl --boot --quiet --output=cat --identifier=systemd-journald --grep='Failed to parse|Unknown'"
    )
    assert wrong.stdout == ""
