"""The filters that read files of the repository and place them on a host."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def files(filters: Callable[[str], ModuleType]) -> ModuleType:
    return filters("files")


def test_from_a_folder_to_another(files: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.conf").write_text(" ends without a newline: ü")
    read = files.contents([f"{tmp_path}/a/b.conf"], str(tmp_path))
    assert files.as_files(files.below(read, "/etc/x")) == [
        {"path": "/etc/x/a/b.conf", "content": " ends without a newline: ü"}
    ]


def test_a_file_outside_of_the_folder_is_an_error(files: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "b.conf").touch()
    with pytest.raises(ValueError, match="not in the subpath"):
        files.contents([f"{tmp_path}/b.conf"], f"{tmp_path}/a")
