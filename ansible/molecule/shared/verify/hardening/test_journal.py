"""The host's journal: each line of its settings is one that this systemd knows."""

from typing import Any


def test_journald_reads_its_settings(host: Any) -> None:
    wrong = host.run(
        "journalctl --boot --quiet --output=cat --identifier=systemd-journald --grep='Failed to parse|Unknown'"
    )
    assert wrong.stdout == ""


def test_the_journal_is_persistent_and_compressed(host: Any) -> None:
    header = host.check_output("journalctl --header --file /var/log/journal/$(cat /etc/machine-id)/system.journal")
    assert "COMPRESSED" in header
