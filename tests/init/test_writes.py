"""The folders and files beside the code that an app writes."""

from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.sources import Sources
from slipway.controller.init.writes import find_writes

WITH_PATH = "import os\nfrom pathlib import Path\n"


@pytest.mark.parametrize(
    ("source", "folders"),
    [
        ("os.makedirs('uploads', exist_ok=True)", ["uploads"]),
        ("UPLOADS = 'static/uploads'\nif not os.path.exists(UPLOADS):\n    os.mkdir(UPLOADS)", ["static/uploads"]),
        ("def f():\n    folder = './up/'\n    os.makedirs(folder)", ["up"]),
        ("Path('media').mkdir(parents=True)", ["media"]),
        ("BASE = Path(__file__).resolve().parent\n(BASE / 'media').mkdir()", ["shop/media"]),
        ("BASE = Path(__file__).parent.parent\nMEDIA = BASE / 'media'\nMEDIA.mkdir()", ["media"]),
        ("class Settings(BaseSettings):\n    media: str = 'media'\nos.makedirs(settings.media)", ["media"]),
        ("UP = os.getenv('UPLOAD_DIR', 'uploads')\nos.makedirs(UP)", ["uploads"]),
        ("UP = Path(os.environ.get('UPLOAD_DIR', './uploads'))\nUP.mkdir()", ["uploads"]),
        ("class S(BaseSettings):\n    media: Path = Field(default=Path('media'))\nsettings.media.mkdir()", ["media"]),
        ("class S(BaseSettings):\n    media: str = Field('media', alias='MEDIA')\nos.makedirs(s.media)", ["media"]),
        ("from decouple import config\nUP = config('UP', default='up')\nos.makedirs(UP)", ["up"]),
        ("BASE = os.path.dirname(os.path.abspath(__file__))\nos.makedirs(os.path.join(BASE, 'up'))", ["shop/up"]),
        ("BASE = os.path.dirname(os.path.dirname(__file__))\nos.makedirs(os.path.join(BASE, 'a', 'b'))", ["a/b"]),
        ("Path('media').resolve().joinpath('thumbs').mkdir()", ["media/thumbs"]),
        ("os.makedirs(os.getenv('UP'))\nos.makedirs(os.path.join(x, 'up'))\nos.makedirs(config('UP'))", []),
        ("os.makedirs('/data/files')", ["/data/files"]),
        ("os.makedirs('a')\nos.makedirs('a/b')", ["a"]),
        ("logging.FileHandler('logs/app.log')", ["logs"]),
        ("from loguru import logger\nlogger.add('logs/app.log')", ["logs"]),
        ("URL = 'sqlite+aiosqlite:///./data/shop.db'", ["data"]),
        ("URL = 'sqlite://data/shop.db'", ["data"]),  # as Tortoise has it
        # Not the image's, computed, or with the code.
        ("os.makedirs('/tmp/x')\nos.makedirs(f'{a}/b')\nos.makedirs(x)\nos.makedirs('../x')\nos.makedirs('.')", []),
        ("os.makedirs('shop')\nURL = 'sqlite:///shop.db'\nOTHER = 'sqlite:////var/lib/x/y.db'", []),
        ("UP = 'a'\nUP = 'b'\nos.makedirs(UP)", []),
    ],
)
def test_folders(source: str, folders: list[str], tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/main.py").write_text(WITH_PATH + source)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("import os\nos.makedirs('of-tests')\n")
    assert [str(path) for path in find_writes(Sources.read(tmp_path), PurePosixPath()).folders] == folders


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("URL = 'sqlite:///./shop.db'", ("shop.db",)),
        ("import sqlite3\nsqlite3.connect('shop.db')", ("shop.db",)),
        ("logging.handlers.RotatingFileHandler('app.log')", ("app.log",)),
        ("URL = f\"sqlite:///{os.environ['STATE_DIRECTORY']}/x.db\"\nOLD = 'sqlite:///x.db'", ()),
        ("URL = 'sqlite://'\nOTHER = 'sqlite:///:memory:'", ()),
    ],
)
def test_files(source: str, files: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(WITH_PATH + source)
    assert find_writes(Sources.read(tmp_path), PurePosixPath()).files == files
