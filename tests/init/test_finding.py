"""What is found in files of many forms."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.application import find_apps
from slipway.controller.init.environment import find_environment
from slipway.controller.init.existing import Dockerfile, find_dockerfile
from slipway.controller.init.findings import Findings, InitError, find
from slipway.controller.init.health import checked_path, find_ready_path
from slipway.controller.init.manager import Manager
from slipway.controller.init.migrations import find_migrations
from slipway.controller.init.packages import Packages, find_packages
from slipway.controller.init.processes import joined, started_by
from slipway.controller.init.python import is_allowed as allows
from slipway.controller.init.python import python_version
from slipway.controller.init.queues import Process, find_processes
from slipway.controller.init.routes import Routes
from slipway.controller.init.run import run
from slipway.controller.init.server import Server, command, find_server
from slipway.controller.init.services import Services, find_services
from slipway.controller.init.sources import Sources
from slipway.controller.init.system_packages import system_packages

TOP = PurePosixPath()
FASTAPI = "from fastapi import FastAPI\n"


def write(folder: Path, **files: str) -> Path:
    """Write files; __ in a name is a slash, and the suffix is .py unless there is another, or a dot at the end for none."""
    for name, text in files.items():
        path = folder / (name if "/" in name else name.replace("__", "/")).removesuffix(".")
        path = path if path.suffix or name.endswith(".") else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def packages(*names: str) -> Packages:
    return Packages(Manager.UV, TOP, ("pyproject.toml", "uv.lock"), "uv.lock", frozenset(names))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (FASTAPI + "app = FastAPI()", "app"),
        (FASTAPI + "service: FastAPI = FastAPI(title='x')", "service"),
        ("import fastapi\nx = fastapi.FastAPI()", "x"),
        ("import fastapi as f\nx = f.applications.FastAPI()", "x"),
        ("from fastapi import FastAPI as Web\nweb = Web()", "web"),
        ("from starlette.applications import Starlette\napp = Starlette()", "app"),
        (FASTAPI + "class Mine(FastAPI):\n    pass\napp = Mine()", "app"),
        (FASTAPI + "try:\n    app = FastAPI()\nexcept Exception:\n    raise", "app"),
        (FASTAPI + "import os\nif os.name:\n    app = FastAPI()\nelse:\n    app = None", "app"),
        (FASTAPI + "def make():\n    return FastAPI()\napp = make()", "app"),
        (FASTAPI + "def create_app() -> FastAPI:\n    app = FastAPI()\n    return app", "create_app()"),
        (FASTAPI + "def make(debug=False, *, x=1):\n    return FastAPI()", "make()"),
        (FASTAPI + "from gzip import Zip\napp = FastAPI()\napp = Zip(app)", "app"),
        (FASTAPI + "sub = FastAPI()\nmain = FastAPI()\nmain.mount('/sub', sub)", "main"),
        (FASTAPI + "sub = FastAPI()\nmain = FastAPI()\nmain.mount('/sub', app=sub)", "main"),
        (
            FASTAPI + "import socketio\napp = FastAPI()\nsocket_app = socketio.ASGIApp(S, other_asgi_app=app)",
            "socket_app",
        ),
        (FASTAPI + "from x import CORSMiddleware\nweb = FastAPI()\nserved = CORSMiddleware(app=web)", "served"),
        (FASTAPI + "from mangum import Mangum\napp = FastAPI()\nhandler = Mangum(app)", "app"),
        (FASTAPI + "from x import build\nweb: FastAPI = build(1)", "web"),
        (FASTAPI + "def make(settings) -> FastAPI:\n    return other(settings)\nweb = make(1)", "web"),
        ("from litestar import Litestar\nweb = Litestar([])", "web"),
        ("from django.core.asgi import get_asgi_application\napplication = get_asgi_application()", "application"),
        # Another object has it.
        ("from x import Server\nserver = Server()\napp = server.app", "app"),
        ("from x import Server\napp = Server().app()", "app"),
        ("from fastmcp import FastMCP\nmcp = FastMCP('a')\napp = mcp.streamable_http_app()", "app"),
        (
            "from x import Server\ndef create_app(**k):\n    s = Server(**k)\n    return s.app\napp = create_app()",
            "app",
        ),
        (FASTAPI + "from x import Server\nweb = FastAPI()\napp = Server().app", "web"),
        # What another one returns, is not served alone.
        (
            FASTAPI + "def inner():\n    return FastAPI()\ndef create():\n    app = inner()\n    return app",
            "create()",
        ),
        # By functions that call one another.
        (
            FASTAPI + "def build(config):\n    return FastAPI()\ndef load():\n    web = build(1)\n    return web",
            "load()",
        ),
        # None of these is an app to serve.
        ("from x import Server\nserver = Server()\nkey = server.app\napp = server.wsgi_app\nurl = server.host", None),
        ("from flask import make\napp = make().app", None),
        (FASTAPI + "def create_app(settings):\n    return FastAPI()", None),
        (FASTAPI + "def create_app(*, settings):\n    return FastAPI()", None),
        (FASTAPI + "Web = FastAPI\nkind: type[FastAPI] = FastAPI", None),
        ("class FastAPI:\n    pass\napp = FastAPI()", None),
        ("from fastapi import APIRouter\napp = APIRouter()", None),
        ("text = 'app = FastAPI()'", None),
        (FASTAPI + "def test():\n    app = FastAPI()", None),
    ],
)
def test_app_objects(source: str, name: str | None, tmp_path: Path) -> None:
    apps = find_apps(Sources.read(write(tmp_path, main=source)))
    assert [f"{app.name}{'()' if app.is_factory else ''}" for app in apps] == ([name] if name else [])


def test_files_that_cannot_be_parsed_are_no_error(tmp_path: Path) -> None:
    write(tmp_path, main=FASTAPI + "app = FastAPI()", broken="def (:", old="print 'x'")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "link.py").symlink_to("main.py")
    write(tmp_path, **{"venv2__pyvenv.cfg": "", "venv2__lib__other": FASTAPI + "app = FastAPI()"})
    assert [str(app) for app in find_apps(Sources.read(tmp_path))] == ["app in main.py"]


def test_a_factory_of_another_module_is_the_module_level_apps(tmp_path: Path) -> None:
    write(
        tmp_path,
        shop__factory=FASTAPI + "def create_app():\n    return FastAPI()",
        shop__asgi="from shop.factory import create_app\napplication = create_app()",
    )
    assert [str(app) for app in find_apps(Sources.read(tmp_path))] == ["application in shop/asgi.py"]


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"main": ""}, "main:app"),
        ({"app__main": ""}, "app.main:app"),
        ({"app__main": "from app import x\n", "app__x": ""}, "app.main:app"),
        # Run from its own folder, as its imports tell.
        ({"app__main": "from routers import x\nimport db\n", "app__routers__x": "", "app__db": ""}, "main:app"),
        ({"src__shop__main": ""}, "shop.main:app"),
        ({"src__shop__main": "from .x import y\n", "src__shop__x": ""}, "shop.main:app"),
        ({"src__main": "from src.x import y\n", "src__x": ""}, "src.main:app"),
        ({"src__main": "import x\n", "src__x": ""}, "main:app"),
        ({"backend__app__main": "from app.core import x\n", "backend__app__core": ""}, "app.main:app"),
        ({"shop/__init__.py": ""}, "shop:app"),
        # From two packages up.
        (
            {
                "src__shop__main": "import uvicorn\n",
                "x": "import uvicorn\nfrom shop.main import app\nuvicorn.run(app)\n",
            },
            "shop.main:app",
        ),
        ({"a__b__c__main": "from ...x import y\n", "a__x": ""}, "a.b.c.main:app"),
        # Above its package.
        (
            {
                "src__python__shop__api__main": "from ..x import y\n",
                "src__python__shop__x": "",
                "src/python/shop/__init__.py": "",
                "src/python/shop/api/__init__.py": "",
            },
            "shop.api.main:app",
        ),
        # A script's own command is seen from its folder, the package's imports are not.
        (
            {
                "shop__main": "import uvicorn\nfrom shop.db import x\nuvicorn.run('main:app')\n",
                "shop__db": "",
                "shop/__init__.py": "",
            },
            "shop.main:app",
        ),
        (
            {"back__main": "import uvicorn\nfrom db import x\nuvicorn.run('main:app')\n", "back__db": ""},
            "main:app",
        ),
        # A stale command is no reason to take a module for the package that its imports need.
        (
            {
                "app__server__app": "from app.config.settings import x\nfrom app.server.routes import y\n",
                "app__config__settings": "",
                "app__server__routes": "",
                "start.sh": "uvicorn app:app\n",
            },
            "app.server.app:app",
        ),
        # As the command that starts it says.
        ({"src__main": "", "Procfile.": "web: uvicorn src.main:app\n"}, "src.main:app"),
    ],
)
def test_the_module_is_named_as_its_own_imports_need_it(files: dict[str, str], target: str, tmp_path: Path) -> None:
    first = next(iter(files))
    assert look(write(tmp_path, **{**files, first: files[first] + FASTAPI + "app = FastAPI()\n"})).target == target


@pytest.mark.parametrize(
    ("files", "found"),
    [
        # A factory that needs arguments, reached through a relative import and a package's own imports.
        (
            {
                "shop__main": "from .core import create_app\napp = create_app(settings=1)\n",
                "shop/core/__init__.py": "from .setup import create_app\n",
                "shop__core__setup": FASTAPI + "def create_app(settings):\n    app = FastAPI()\n    return app\n",
            },
            ["app in shop/main.py"],
        ),
        # Apps of other files that this one mounts or wraps are not served alone.
        (
            {
                "a__main": FASTAPI + "from a.v1.main import app as v1\nfrom a import v2\napp = FastAPI()\n"
                "app.mount('/v1', v1)\napp.mount('/v2', v2.app)\n",
                "a__v1__main": FASTAPI + "app = FastAPI()\n",
                "a/v2/__init__.py": FASTAPI + "app = FastAPI()\n",
            },
            ["app in a/main.py"],
        ),
        (
            {
                "asgi": "from shop import api\nfrom x import ASGIApp\napp = ASGIApp(api)\n",
                "shop": FASTAPI + "api = FastAPI()\n",
            },
            ["app in asgi.py"],
        ),
        (
            {"a": "from b import Mine\nweb = Mine()\n", "b": FASTAPI + "class Mine(FastAPI):\n    pass\n"},
            ["web in a.py"],
        ),
        # Of two services each name is its own.
        (
            {
                "one__main": FASTAPI + "app = FastAPI()\n",
                "two__main": FASTAPI + "from main import x\napp = FastAPI()\n",
            },
            ["app in one/main.py", "app in two/main.py"],
        ),
        ({"vendor__main": FASTAPI + "app = FastAPI()\n", "z": FASTAPI + "app = FastAPI()\n"}, ["app in z.py"]),
    ],
)
def test_apps_across_files(files: dict[str, str], found: list[str], tmp_path: Path) -> None:
    assert [str(app) for app in find_apps(Sources.read(write(tmp_path, **files)))] == found


@pytest.mark.parametrize(
    ("starts", "target"),
    [
        ({"Dockerfile.": 'CMD ["fastapi", "run", "--workers", "4", "shop/web.py"]'}, "shop.web:site"),
        ({"start.sh": "exec gunicorn -k worker \\\n  shop.web:site"}, "shop.web:site"),
        ({"scripts/run.sh": "uvicorn shop.web:site"}, "shop.web:site"),
        ({"run.py": "import uvicorn\nuvicorn.run('shop.web:site', port=1)\n"}, "shop.web:site"),
        ({"run.py": "import uvicorn\nfrom shop.web import site\nuvicorn.run(site)\n"}, "shop.web:site"),
        ({"run.py": "import uvicorn\nuvicorn.run(host='x', app='shop.web:site')\n"}, "shop.web:site"),
        ({"run.py": "from shop.web import site\nimport uvicorn as u\nu.run(app=site)\n"}, "shop.web:site"),
        ({"run.py": "import uvicorn\nc = uvicorn.Config('shop.web:site', port=1)\n"}, "shop.web:site"),
        ({"run.py": "from granian import Granian\nGranian(target='shop.web:site').serve()\n"}, "shop.web:site"),
        ({"run.py": "import uvicorn\nuvicorn.run()\nuvicorn.run(f'{x}:site')\n"}, "main:app"),
        ({"docker-compose.prod.yml": "services: {a: {command: uvicorn shop.web:site}}\n"}, "shop.web:site"),
        # No rule finds the object, but a command names it for a server.
        ({"start.sh": "uvicorn shop.odd:served"}, "shop.odd:served"),
        ({"start.sh": "celery -A shop.odd:served worker"}, "main:app"),
        ({"tests/run.py": "import uvicorn\nuvicorn.run('tests.fake:app')\n", "tests/fake.py": "app = 1\n"}, "main:app"),
        ({"start.sh": "gunicorn shop.flask:app"}, "main:app"),
        ({"pyproject.toml": '[tool.fastapi]\nentrypoint = "shop.odd:served"\n'}, "shop.odd:served"),
    ],
)
def test_a_servers_command_names_the_app(starts: dict[str, str], target: str, tmp_path: Path) -> None:
    write(tmp_path, main=FASTAPI + "app = FastAPI()\n", shop__web=FASTAPI + "site = FastAPI()\n")
    write(tmp_path, shop__odd="served = holder.app\n", shop__flask="import flask\napp = flask.Flask('x')\n")
    write(tmp_path, **starts)
    assert look(tmp_path).target == target


def test_an_app_that_a_module_imports_is_the_same_app(tmp_path: Path) -> None:
    write(tmp_path, main="from shop.web import app, make\n", shop__web=f"{FASTAPI}app = FastAPI()\ndef make(): ...\n")
    write(tmp_path, **{"Procfile.": "web: uvicorn main:app\n"})
    found = look(tmp_path)
    assert (found.target, found.others) == ("main:app", ())
    write(tmp_path, **{"Procfile.": "web: uvicorn --factory main:make\n"})
    assert "--factory main:make" in look(tmp_path).command


def test_an_app_of_tests_or_examples_is_not_deployed(tmp_path: Path) -> None:
    write(tmp_path, examples__demo=FASTAPI + "app = FastAPI()\n", lib="")
    with pytest.raises(InitError, match=r"tests and examples: app in examples/demo\.py.*entrypoint = "):
        look(tmp_path)


def test_of_too_many_files_the_deepest_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.controller.init.sources.MAX_FILES", 5)
    write(tmp_path, **{f"data__{number}__x": "" for number in range(20)}, zzz__main=FASTAPI + "app = FastAPI()\n")
    assert look(tmp_path).target == "zzz.main:app"


def test_files_of_windows(tmp_path: Path) -> None:
    write(tmp_path, **{"pyproject.toml": "\ufeff[project]\r\nrequires-python = '==3.12.*'\r\n"})
    (tmp_path / "main.py").write_bytes(
        f"# coding: cp1252\r\n{FASTAPI}title = 'für'\r\napp = FastAPI()\r\n".encode("cp1252")
    )
    (tmp_path / "requirements.txt").write_text("fastapi==1\r\nuvicorn==1\r\n", encoding="utf-16")
    found = find(tmp_path, None)
    assert (found.target, found.server, found.python, found.packages.lock) == (
        "main:app", Server.UVICORN, "3.12", "requirements.txt",
    )  # fmt: skip


def look(folder: Path, requirements: str = "fastapi\nuvicorn\n") -> Findings:
    (folder / "requirements.txt").write_text(requirements)
    return find(folder, None)


def test_requirements_inside_of_the_package(tmp_path: Path) -> None:
    write(
        tmp_path, **{"api/app/requirements.txt": "fastapi==1\nuvicorn==1\n", "api/app/db.py": "", "api/app/main.py": ""}
    )
    (tmp_path / "api/app/main.py").write_text(f"from app.db import x\n{FASTAPI}app = FastAPI()\n")
    found = find(tmp_path, None)
    assert (found.target, str(found.base), found.packages.files) == ("app.main:app", "api", ("app/requirements.txt",))


@pytest.mark.parametrize("manager", ["uv", "poetry", "pdm"])
def test_a_project_inside_of_the_package(manager: str, tmp_path: Path) -> None:
    project = f"[project]\nname = 'x'\nversion = '0'\ndependencies = ['fastapi', 'uvicorn']\n[tool.{manager}]\n"
    write(tmp_path, **{"app/pyproject.toml.": project, f"app/{manager}.lock.": "", "app/db": "", "app/test_db": ""})
    (tmp_path / "app/main.py").write_text(f"from app.db import x\n{FASTAPI}app = FastAPI()\n")
    (tmp_path / "app/pyproject.toml").write_text(f"{project}[dependency-groups]\ndev = ['pytest']\n")
    found = find(tmp_path, None)
    assert (found.target, str(found.base), found.packages.declaring) == ("app.main:app", ".", "pyproject.toml")
    assert "--project app" in found.tests
    run(tmp_path)
    recipe = (tmp_path / "Dockerfile").read_text()
    lines = [f"COPY app/pyproject.toml app/{manager}.lock ./app/", "WORKDIR /app/app", "WORKDIR /app\nCOPY . /app\n"]
    assert [recipe.find(line) for line in lines] == sorted(recipe.find(line) for line in lines)
    assert all(line in recipe for line in lines)


def test_what_starts_the_app_decides_between_several(tmp_path: Path) -> None:
    app = FASTAPI + "app = FastAPI()\n"
    write(tmp_path, main=app, service__api=app, tests__app=app)
    assert look(tmp_path).target == "main:app"
    (tmp_path / "Procfile").write_text("web: uvicorn service.api:app --port $PORT\n")
    assert look(tmp_path).target == "service.api:app"
    (tmp_path / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "main:app"\n')
    assert look(tmp_path).target == "main:app"


@pytest.mark.parametrize(
    ("files", "manager", "lock", "names"),
    [
        ({"uv.lock": "", "pyproject.toml": '[project]\ndependencies = ["FastAPI[standard]>=1", "a_b.c"]'}, "uv", "uv.lock", {"fastapi", "fastapi[standard]", "a-b-c"}),
        ({"pyproject.toml": '[project]\nname = "a"\ndependencies = ["x"]\n[tool.uv]\n'}, "uv", "", {"x"}),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nfastapi = {extras = ["all"], version = "*"}'}, "poetry", "", {"fastapi", "fastapi[all]"}),
        ({"poetry.lock": "", "pyproject.toml": '[project]\ndependencies = ["x"]'}, "poetry", "poetry.lock", {"x"}),
        ({"pdm.lock": "", "pyproject.toml": '[project]\ndependencies = ["x"]'}, "pdm", "pdm.lock", {"x"}),
        ({"pyproject.toml": '[project]\ndependencies = ["x; python_version > \'3\'"]'}, "pyproject", "", {"x"}),
        ({"requirements.txt": "x==1\ny==2 # why\n-r more.txt\n", "more.txt": "z"}, "pip", "requirements.txt", {"x", "y", "z"}),
        ({"requirements.txt": "x>=1\n"}, "pip", "", {"x"}),
        ({"requirements__prod.txt": "-r base.txt\n", "requirements__base.txt": "x\n"}, "pip", "", {"x"}),
        ({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "x==1\n"}, "pip", "requirements.txt", {"x"}),
        ({"Pipfile.": '[packages]\nfastapi = "*"\nuvicorn = {extras = ["standard"], version = "*"}\n', "Pipfile.lock": "{}"}, "pipenv", "Pipfile.lock", {"fastapi", "uvicorn", "uvicorn[standard]"}),
        ({"requirements__prod.txt": "-r ../a.txt\n-c../c.txt\n", "a.txt": "x\n-r requirements/prod.txt", "c.txt": "y"}, "pip", "", {"x"}),
        ({"requirements-prod.txt": "x", "requirements-dev.txt": "y"}, "pip", "", {"x"}),
        ({"requirements_base.txt": "x==1", "requirements_test.txt": "y"}, "pip", "requirements_base.txt", {"x"}),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=['x>1', 'y'])"}, "pyproject", "", {"x", "y"}),
        ({"setup.py": "from setuptools import setup\nNEEDS = ['x>1']\nsetup(install_requires=NEEDS)"}, "pyproject", "", {"x"}),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=read('base.in', 'utf-8'))"}, "pyproject", "", set()),
        ({"setup.py": "from setuptools import setup\nNEEDS = read('base.in')\nsetup(install_requires=NEEDS)"}, "pyproject", "", set()),
        ({"setup.cfg": "[options]\ninstall_requires =\n  x>1\n  y\n", "setup.py": "import setuptools"}, "pyproject", "", {"x", "y"}),
        ({"pyproject.toml": "not toml", "requirements.txt": "x==1\n"}, "pip", "requirements.txt", {"x"}),
    ],
)  # fmt: skip
def test_dependencies(files: dict[str, str], manager: str, lock: str, names: set[str], tmp_path: Path) -> None:
    found = find_packages(write(tmp_path, **files), PurePosixPath("app/main.py"))
    assert found
    assert (str(found.manager), found.lock, set(found.names)) == (manager, lock, names)


@pytest.mark.parametrize(
    ("lock", "project", "options", "names"),
    [
        ("uv.lock", '[project.optional-dependencies]\nserver = ["uvicorn"]\ndev = ["pytest", "uvicorn"]', " --extra server", {"uvicorn"}),
        ("uv.lock", '[dependency-groups]\ndocker = ["uvicorn"]\nunit-tests = ["uvicorn"]', " --group docker", {"uvicorn"}),
        ("uv.lock", '[dependency-groups]\nrest = ["granian"]\nother = ["a"]', " --group rest", {"granian"}),
        ("uv.lock", '[dependency-groups]\nprod = ["a"]\nx = ["b"]\n[tool.uv]\ndefault-groups = ["x", "dev"]', " --group prod --group x", {"a", "b"}),
        ("poetry.lock", '[tool.poetry.group.x.dependencies]\nuvicorn = "*"\n[tool.poetry.group.test.dependencies]\ny = "*"', " --only main,x", {"uvicorn"}),
        ("poetry.lock", '[tool.poetry.group.x]\noptional = true\n[tool.poetry.group.x.dependencies]\ny = "*"', " --only main", set()),
        ("poetry.lock", '[tool.poetry.extras]\nserver = ["uvicorn"]\nall = ["uvicorn", "x"]\ndev = ["y"]', " --only main --extras server", {"uvicorn"}),
        ("pdm.lock", '[project.optional-dependencies]\nweb = ["uvicorn"]\n[dependency-groups]\nprod = ["a"]', " --group web", {"uvicorn"}),
    ],
)  # fmt: skip
def test_groups_and_extras_of_production(
    lock: str, project: str, options: str, names: set[str], tmp_path: Path
) -> None:
    found = find_packages(write(tmp_path, **{lock: "", "pyproject.toml": project}), PurePosixPath("main.py"))
    assert found
    assert (found.options, set(found.names)) == (options, names)


def test_what_members_of_the_workspace_require_is_required(tmp_path: Path) -> None:
    member = '[project]\nname = "{}"\nversion = "0"\ndependencies = [{}]\n'
    write(
        tmp_path,
        **{
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["apps/*", "lib/*"]\n',
            "uv.lock": "",
            "apps/api/pyproject.toml": member.format("api", '"my-core>=1", "fastapi[standard]"'),
            "apps/other/pyproject.toml": member.format("other", '"motor"'),
            "lib/core/pyproject.toml": member.format("my_core", '"data", "sqlmodel"'),
            "lib/data/pyproject.toml": member.format("data", '"psycopg[binary]", "my-core"'),
            "lib/core/my_core/settings.py": "import os\nos.environ['REGION']\n",
            "apps/other/settings.py": "import os\nos.environ['OTHER']\n",
            "apps/api/main.py": f"{FASTAPI}app = FastAPI()\n",
        },
    )
    found = find(tmp_path, None)
    assert {"psycopg[binary]", "sqlmodel"} <= found.packages.names
    assert "motor" not in found.packages.names
    assert found.services.scheme == "postgresql+psycopg"
    assert found.environment.settings == {"REGION": ""}


def test_migrations_start_where_the_dockerfile_puts_the_code(tmp_path: Path) -> None:
    write(
        tmp_path,
        src__main=f"{FASTAPI}import db\napp = FastAPI()\n",
        src__db="",
        **{"src/alembic.ini": "prepend_sys_path = .\n"},
    )
    needs = "fastapi\nuvicorn\nalembic\n"
    dockerfile = "FROM python:3.13\nWORKDIR /srv\nCOPY {} .\nCMD uvicorn main:app\n"
    assert look(tmp_path, needs).migrations == "cd src && alembic upgrade head"
    assert look(write(tmp_path, **{"Dockerfile.": dockerfile.format(".")}), needs).migrations.startswith("cd src && ")
    assert (
        look(write(tmp_path, **{"Dockerfile.": dockerfile.format("src")}), needs).migrations == "alembic upgrade head"
    )


def test_an_index_is_named_without_its_password(tmp_path: Path) -> None:
    write(tmp_path, **{"requirements.txt": "--extra-index-url https://me:secret@pypi.example.com/simple\nx\n"})
    found = find_packages(tmp_path, PurePosixPath("main.py"))
    assert found
    assert found.indexes == ("https://pypi.example.com/simple",)


@pytest.mark.parametrize(("sources", "indexes"), [("", ()), ("torch = { index = 'cpu' }", ("https://a.example.com",))])
def test_an_index_to_publish_to_has_no_packages(sources: str, indexes: tuple[str, ...], tmp_path: Path) -> None:
    index = '[[tool.uv.index]]\nname = "cpu"\nurl = "https://a.example.com"\nexplicit = true\n'
    text = f'[project]\nname = "a"\ndependencies = ["x"]\n{index}[tool.uv.sources]\n{sources}\n'
    found = find_packages(write(tmp_path, **{"pyproject.toml": text}), PurePosixPath("main.py"))
    assert found
    assert found.indexes == indexes


def test_dependencies_on_folders_and_git(tmp_path: Path) -> None:
    sources = '[tool.uv.sources]\na = { path = "../a" }\nb = { git = "https://example.com/b" }\n'
    write(tmp_path, **{"uv.lock": "", "pyproject.toml": f'[project]\ndependencies = ["a", "b"]\n{sources}'})
    found = find_packages(tmp_path, PurePosixPath("main.py"))
    assert found
    assert (found.has_local, found.outside, found.needs_git) == (True, ("../a",), True)
    assert system_packages(tmp_path, found)[1] == ("git",)


@pytest.mark.parametrize(
    ("required", "version"),
    [
        ("", "3.13"),
        (">=3.11", "3.13"),
        (">=3.11,<3.13", "3.12"),
        ("^3.10", "3.13"),
        ("~=3.10", "3.13"),
        ("~3.10", "3.10"),
        ("==3.12.*", "3.12"),
        (">3.13", "3.14"),
        (">=3.14", "3.14"),
        (">=3.9,!=3.13", "3.14"),
        ("<3.12", "3.11"),
    ],
)
def test_the_version_of_python(required: str, version: str, tmp_path: Path) -> None:
    project = f'[project]\nrequires-python = "{required}"\n' if required else "[project]\n"
    write(tmp_path, **{"pyproject.toml": project})
    assert python_version(tmp_path, packages()) == version
    (tmp_path / ".python-version").write_text("cpython-3.11.4\n")
    assert python_version(tmp_path, packages()) == "3.11"


@pytest.mark.parametrize(
    ("files", "version", "is_allowed"),
    [
        ({".tool-versions.": "nodejs 20\npython 3.11.6\n"}, "3.11", True),
        ({"mise.toml": "[tools]\npython = '3.12'\n"}, "3.12", True),
        ({"runtime.txt": "python-3.10.4\n"}, "3.10", True),
        ({"Pipfile.": "[requires]\npython_version = '3.11'\n"}, "3.11", True),
        ({"setup.py": "setup(install_requires=[], python_requires='<3.12')"}, "3.11", True),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n", "runtime.txt": "python-3.10.4\n"}, "3.13", True),
        ({"pyproject.toml": "[project]\nrequires-python = '<3.8'\n"}, "3.13", False),
        ({"Dockerfile.": "FROM node:22\nFROM python:3.10-slim\n"}, "3.10", True),
        ({"docker/Dockerfile.": "FROM ghcr.io/astral-sh/uv:python3.11-bookworm\n"}, "3.11", True),
        ({"Dockerfile.": "ARG BASE=python:3.10\nFROM $BASE\n"}, "3.13", True),
        (
            {"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n", "Dockerfile.": "FROM python:3.10"},
            "3.13",
            True,
        ),
    ],
)
def test_other_places_of_the_version(files: dict[str, str], version: str, is_allowed: bool, tmp_path: Path) -> None:
    write(tmp_path, **files)
    assert python_version(tmp_path, packages()) == version
    assert allows(tmp_path, packages(), version) is is_allowed


@pytest.mark.parametrize(
    ("names", "commands", "server"),
    [
        ({"uvicorn"}, "", Server.UVICORN),
        ({"fastapi", "fastapi[standard]"}, "", Server.UVICORN),
        ({"gunicorn", "uvicorn"}, "", Server.GUNICORN),
        ({"gunicorn", "uvicorn"}, "web: uvicorn main:app", Server.UVICORN),
        ({"hypercorn"}, "uvicorn", Server.HYPERCORN),
        ({"granian"}, "", Server.GRANIAN),
        ({"fastapi[standard-no-fastapi-cloud-cli]"}, "", Server.UVICORN),
        ({"fastapi"}, "", None),
    ],
)
def test_the_server(names: set[str], commands: str, server: Server | None) -> None:
    assert find_server(packages(*names), commands) == server


@pytest.mark.parametrize("server", Server)
def test_a_command_keeps_the_process_id_and_takes_a_factory(server: Server) -> None:
    text = command(server, "a:create", packages("gunicorn", "uvicorn"), is_factory=True)
    assert text.rpartition("; ")[2].startswith("exec ")
    assert "${PORT:-8000}" in text
    has_option = server in {Server.UVICORN, Server.GRANIAN}
    assert ("--factory a:create" if has_option else "'a:create()'") in text


@pytest.mark.parametrize(
    ("files", "names", "found"),
    [
        ({"alembic.ini": "prepend_sys_path = .\n"}, {"alembic"}, "alembic upgrade head"),
        # Without that line alembic does not find the app's modules.
        ({"alembic.ini": "# prepend_sys_path = .\n"}, {"alembic"}, "python -m alembic upgrade head"),
        ({"alembic.ini": "", "alembic/__init__.py": ""}, {"alembic"}, "alembic upgrade head"),
        ({"db__alembic.ini": ""}, {"alembic"}, "cd db && alembic upgrade head"),
        ({"pyproject.toml": "[tool.alembic]\n"}, {"alembic"}, "alembic upgrade head"),
        ({"manage": ""}, {"django"}, "python manage.py migrate --noinput"),
        ({"site__manage": ""}, {"django"}, "python site/manage.py migrate --noinput"),
        ({"manage": ""}, {"fastapi"}, ""),
        ({}, {"alembic"}, ""),
        ({"pyproject.toml": "[tool.aerich]\n"}, {"aerich"}, "aerich upgrade"),
        ({"aerich.ini": "[aerich]\n"}, {"aerich"}, "aerich upgrade"),
        ({"aerich.ini": "[aerich]\n"}, {"tortoise-orm"}, ""),
        ({"src__a__b__c__alembic.ini": ""}, {"alembic"}, "cd src/a/b/c && alembic upgrade head"),
        ({"src__a__b__c__d__alembic.ini": ""}, {"alembic"}, ""),
        (
            {"node_modules__a__alembic.ini": "", ".x__alembic.ini": "", "db__alembic.ini": ""},
            {"alembic"},
            "cd db && alembic upgrade head",
        ),
        # Its scripts are seen from the app's folder.
        (
            {"db__alembic.ini": "script_location = db/revisions\n", "db__revisions__env": ""},
            {"alembic"},
            "alembic -c db/alembic.ini upgrade head",
        ),
        (
            {"db__alembic.ini": "script_location = revisions\n", "db__revisions__env": ""},
            {"alembic"},
            "cd db && alembic upgrade head",
        ),
        ({"db__alembic.ini": "script_location = %(here)s/x\n"}, {"alembic"}, "cd db && alembic upgrade head"),
    ],
)
def test_migrations(files: dict[str, str], names: set[str], found: str, tmp_path: Path) -> None:
    assert find_migrations(write(tmp_path, **files), packages(*names), TOP) == found


@pytest.mark.parametrize(
    ("place", "typed", "found"),
    [
        ("", "uv run alembic -x env=prod upgrade head && uvicorn a:b", "alembic -x env=prod upgrade head"),
        ("", "alembic   upgrade heads", "alembic upgrade heads"),
        ("", "alembic -n main --config alembic.ini upgrade head", "alembic -n main upgrade head"),
        ("", "alembic -x tenant=$TENANT upgrade head", "alembic upgrade head"),
        ("", "alembic upgrade +1\nalembic downgrade -1", "alembic upgrade head"),
        ("db", "alembic -c db/alembic.ini upgrade head", "alembic -c db/alembic.ini upgrade head"),
        ("db", "alembic --config=db/alembic.ini -x a=b upgrade head", "alembic -c db/alembic.ini -x a=b upgrade head"),
        ("db", "alembic -c elsewhere.ini upgrade head", "cd db && alembic upgrade head"),
    ],
)
def test_migrations_with_the_options_that_a_script_gives(place: str, typed: str, found: str, tmp_path: Path) -> None:
    write(tmp_path / place, **{"alembic.ini": "prepend_sys_path = .\n"})
    assert find_migrations(tmp_path, packages("alembic"), TOP, typed) == found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"sqlalchemy", "asyncpg"}, Services(postgres=True, scheme="postgresql+asyncpg")),
        ({"asyncpg"}, Services(postgres=True)),
        ({"sqlalchemy", "psycopg", "psycopg[binary]"}, Services(postgres=True, scheme="postgresql+psycopg")),
        ({"psycopg"}, Services(postgres=True)),
        ({"tortoise-orm", "tortoise-orm[asyncpg]"}, Services(postgres=True, scheme="asyncpg")),
        ({"piccolo[postgres]"}, Services(postgres=True)),
        ({"databases[postgresql]"}, Services(postgres=True)),
        (
            {"psycopg", "psycopg[c]"},
            Services(postgres=True),
        ),
        ({"redis"}, Services(broker=True)),
        ({"celery"}, Services(broker=True, has_celery=True)),
        ({"motor"}, Services(external=("motor",))),
        ({"httpx", "stripe"}, Services(clients=("httpx", "stripe"))),
        ({"aiokafka"}, Services(clients=("aiokafka",))),
        ({"fastapi"}, Services()),
    ],
)
def test_services(names: set[str], expected: Services) -> None:
    assert find_services(packages(*names)) == expected


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("@app.get('/health')\ndef h(): ...", "/health"),
        ("@app.get(path='/livez')\nasync def h(): ...", "/livez"),
        ("@app.get('/ping')\ndef p(): ...\n@app.get('/readyz')\ndef r(): ...", "/readyz"),
        ("@app.get('/health/')\ndef h(): ...", "/health/"),
        ("@app.post('/health')\ndef h(): ...", ""),
        ("from fastapi import APIRouter\nr = APIRouter(prefix='/api')\n@r.get('/health')\ndef h(): ...\napp.include_router(r)", "/api/health"),
        ("v1 = FastAPI()\napp.mount('/v1/', v1)\n@v1.get('/health')\ndef h(): ...", "/v1/health"),
        ("from fastapi import APIRouter\nr = APIRouter(prefix=X)\n@r.get('/health')\ndef h(): ...\napp.include_router(r)", ""),
        ("from fastapi import APIRouter\nr = APIRouter()\n@r.get('/health')\ndef h(): ...\napp.include_router(r, prefix=settings.API)", ""),
        ("from fastapi import APIRouter\nr = APIRouter()\n@r.get('/health')\ndef h(): ...", ""),
        ("api: FastAPI = FastAPI()\n@api.get('/ping')\ndef h(): ...", "/ping"),
        ("from fastapi import APIRouter\nr: APIRouter = APIRouter(prefix='/v1')\n@r.get('/health')\ndef h(): ...\napp.include_router(r)", "/v1/health"),
        ("app.add_api_route('/health', h)", "/health"),
        ("app.add_api_route(endpoint=h, path='/health', methods=['HEAD', 'GET'])", "/health"),
        ("app.add_route('/healthz', h, methods={'GET'})", "/healthz"),
        ("app.add_api_route('/health', h, methods=['POST'])", ""),
        ("@app.api_route('/health', methods=['PUT'])\ndef h(): ...", ""),
        ("@app.api_route('/health', methods=['GET', 'HEAD'])\ndef h(): ...", "/health"),
        ("from fastapi import APIRouter\nr = APIRouter()\n@r.get('/{x}/health')\ndef h(): ...\napp.include_router(r)", ""),
    ],
)  # fmt: skip
def test_the_ready_path(source: str, path: str, tmp_path: Path) -> None:
    sources = Sources.read(write(tmp_path, main=f"{FASTAPI}app = FastAPI()\n{source}\n"))
    assert find_ready_path(Routes.read(sources).answered()) == path


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("CMD curl -f http://localhost:8000/api/v1/health/live || exit 1", "/api/v1/health/live"),
        ("[CMD, wget, --spider, 'http://127.0.0.1:${PORT:-8000}/ok/']", "/ok/"),
        ("python -c \"urlopen('https://0.0.0.0/ready?deep=1')\"", "/ready"),
        ("curl http://other:8000/health", ""),
        ("curl http://localhost:8000", ""),
        ("pg_isready", ""),
    ],
)
def test_the_path_that_a_health_check_asks_for(command: str, path: str) -> None:
    assert checked_path(command) == path


def test_the_ready_path_of_a_dockerfile_where_no_route_is_known(tmp_path: Path) -> None:
    write(tmp_path, main=f"{FASTAPI}app = FastAPI()\nfor each in ROUTERS:\n    app.include_router(each)\n")
    dockerfile = "FROM python:3.13\nCOPY . .\nHEALTHCHECK CMD curl http://localhost:8000/alive\nCMD x\n"
    assert look(write(tmp_path, **{"Dockerfile.": dockerfile})).ready_path == "/alive"


def test_tables_and_files_of_a_program_beside_the_app_are_not_its_own(tmp_path: Path) -> None:
    other = "URL = 'sqlite:///x.db'\nclass Db:\n    def make(self):\n        Base.metadata.create_all(self.engine)\n"
    write(tmp_path, api__main=f"{FASTAPI}app = FastAPI()\n", tool__db=other)
    write(tmp_path / "api", **{"requirements.txt": "fastapi\nuvicorn\nasyncpg\n"})
    assert find(tmp_path, None).creates_tables == ""
    write(tmp_path / "api", **{"requirements.txt": "fastapi\nuvicorn\n"})
    assert not find(tmp_path, None).files_beside_code


def test_an_object_that_the_chosen_factory_makes_is_no_other_app(tmp_path: Path) -> None:
    write(
        tmp_path,
        shop__setup=f"{FASTAPI}def create():\n    return FastAPI()\n",
        shop__main="from .setup import create\napp = create()\n",
    )
    write(tmp_path, **{"run.py": "import uvicorn\nuvicorn.run('shop.setup:create', factory=True)\n"})
    found = look(tmp_path)
    assert (found.target, found.others) == ("shop.setup:create", ())
    assert "--factory shop.setup:create" in found.command


def test_the_ready_path_of_a_router_in_a_router_in_a_router(tmp_path: Path) -> None:
    router = "from fastapi import APIRouter\n"
    write(
        tmp_path,
        backend__app__main=f"{FASTAPI}from app.api.main import api_router\nfrom app.core.config import settings\n"
        "app = FastAPI(openapi_url=f'{settings.API_V1_STR}/openapi.json')\n"
        "app.include_router(api_router, prefix=settings.API_V1_STR)\n",
        backend__app__core__config="class Settings:\n    API_V1_STR: str = '/api/v1'\n",
        backend__app__api__main=f"{router}from app.api.routes import utils\n"
        "api_router = APIRouter()\napi_router.include_router(utils.router)\n",
        backend__app__api__routes__utils=f"{router}router = APIRouter(prefix='/utils')\n"
        "@router.get('/health-check/')\nasync def health_check(): ...\n",
    )
    assert look(tmp_path).ready_path == "/api/v1/utils/health-check/"
    (tmp_path / "backend/app/api/routes/utils.py").unlink()
    assert look(tmp_path).ready_path == "/docs"


def test_the_ready_path_is_the_chosen_apps(tmp_path: Path) -> None:
    write(
        tmp_path,
        svc__main=f"{FASTAPI}app = FastAPI()\nfrom . import views\n",
        svc__views="from .main import app\n@app.get('/alive/ready')\ndef h(): ...\n",
        zzz__main=f"{FASTAPI}app = FastAPI()\n@app.get('/healthz')\ndef h(): ...\n",
    )
    assert look(tmp_path).ready_path == "/alive/ready"


def test_the_ready_path_of_a_router_that_a_factory_gets(tmp_path: Path) -> None:
    write(
        tmp_path,
        shop__main="from .api import router\nfrom .setup import create\napp = create(router=router)\n",
        shop__setup=f"{FASTAPI}def create(router) -> FastAPI:\n    made = FastAPI(docs_url=None)\n    made.include_router(router)\n"
        "    return made\n",
        shop__api="from fastapi import APIRouter\nrouter = APIRouter(prefix='/api')\n@router.get('/health')\ndef h(): ...\n",
    )
    assert look(tmp_path).ready_path == "/api/health"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("", "/docs"),
        ("docs_url='/help'", "/help"),
        ("docs_url=None", "/openapi.json"),
        ("docs_url=None if X else '/docs'", "/openapi.json"),
        ("docs_url=None, openapi_url='/v1/openapi.json'", "/v1/openapi.json"),
        ("openapi_url='' if X else 'x'", "/"),
        ("docs_url='/docs', openapi_url=None", "/"),
    ],
)
def test_a_path_where_no_health_route_is(arguments: str, path: str, tmp_path: Path) -> None:
    assert look(write(tmp_path, main=f"{FASTAPI}app = FastAPI({arguments})\n")).ready_path == path


def test_a_path_where_the_schema_is_switched_off_later(tmp_path: Path) -> None:
    source = "more = {'title': 'a'}\nif PRODUCTION:\n    more['openapi_url'] = None\napp = FastAPI(**more)\n"
    assert look(write(tmp_path, main=f"{FASTAPI}{source}")).ready_path == "/"


def test_settings_and_secrets(tmp_path: Path) -> None:
    write(
        tmp_path,
        settings="""
import os
from typing import ClassVar
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    NAMES: ClassVar[int]
    mail_token: str
    country: str
    currency: str = "EUR"
    size: int = Field(default=3)
    colour: str = Field(..., validation_alias="COLOUR")
    postgres_server: str = Field(alias="POSTGRES_SERVER")
    database_url: str = Field(alias="DATABASE_URL")

class Old(BaseSettings):
    flavour: str
    class Config:
        env_prefix = "OLD_"

key = os.environ["SIGNING_KEY"]
os.environ["SET"] = "1"
level = os.getenv("LOG_LEVEL", "info")
port = os.environ["PORT"]
""",
        tests__settings="import os\nos.environ['OF_TESTS']\n",
    )
    (tmp_path / ".env.example").write_text("SHOP_COUNTRY='New Zealand'\n")
    found = find_environment(Sources.read(tmp_path), Services(postgres=True), TOP)
    assert found.data == {"POSTGRES_SERVER": "{host}"}
    assert found.secrets == ("SHOP_MAIL_TOKEN", "SIGNING_KEY")
    assert found.settings == {"COLOUR": "", "OLD_FLAVOUR": "", "SHOP_COUNTRY": "New Zealand"}
    assert found.needs_tcp


@pytest.mark.parametrize(
    ("name", "field", "by_port"),
    [
        ("CACHE_URL", "cache_url: RedisDsn", True),
        ("REDIS_URL", "redis_url: RedisDsn | None = None", True),
        ("BROKER_URL", "broker_url: Annotated[RedisDsn, Field()]", True),
        ("REDIS_URL", "redis_url: AnyUrl", False),
        ("REDIS_URL", "redis_url: str", False),
        ("POSTGRES_URL", "postgres_url: PostgresDsn", False),
        ("OTHER", "other: RedisDsn", False),  # not known to be the broker beside the app
    ],
)
def test_a_type_of_urls_that_refuses_unix_sockets(tmp_path: Path, name: str, field: str, by_port: bool) -> None:
    write(tmp_path, app=f"from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    {field}\n")
    found = find_environment(Sources.read(tmp_path), Services(postgres=True, broker=True), TOP)
    assert (name in found.data) == (name not in {"BROKER_URL", "OTHER"})
    assert found.needs_tcp == by_port


@pytest.mark.parametrize(
    ("field", "is_secret"),
    [
        ("access_token: str", True),
        ("bot_tokens: list[str]", True),
        ("signing_key: bytes", True),
        ("max_tokens: str", False),
        ("openai_max_output_tokens: str", False),
        ("token_budget: int", False),
        ("tokens_per_call: PositiveInt", False),
        ("access_token_expire_minutes: str", False),
        ("token_url: str", False),
        ("private_key_path: Path", False),
        ("password_min_length: Annotated[int, Field()]", False),
        ("api_key_header: str", False),
        ("use_secret_store: bool", False),
    ],
)
def test_a_name_about_secrets_is_no_secret(tmp_path: Path, field: str, is_secret: bool) -> None:
    write(tmp_path, app=f"from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    {field}\n")
    found = find_environment(Sources.read(tmp_path), Services(), TOP)
    assert bool(found.secrets) == is_secret
    assert bool(found.settings) != is_secret


def test_a_number_of_the_environment_is_no_secret(tmp_path: Path) -> None:
    write(tmp_path, app="import os\na = int(os.environ['CALL_TOKENS'])\nb = os.environ['CALL_TOKEN']\n")
    found = find_environment(Sources.read(tmp_path), Services(), TOP)
    assert (found.secrets, list(found.settings)) == (("CALL_TOKEN",), ["CALL_TOKENS"])


@pytest.mark.parametrize(
    ("names", "by_port"),
    [(("redis", "slowapi"), True), (("celery", "limits"), True), (("redis",), False), (("slowapi",), False)],
)
def test_a_package_that_takes_the_broker_by_its_port(names: tuple[str, ...], by_port: bool) -> None:
    assert find_services(packages("fastapi", *names)).by_port == by_port


def test_settings_that_classes_inherit_and_nest(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__base="from pydantic_settings import BaseSettings\nclass Base(BaseSettings):\n"
        "    model_config = {'env_prefix': 'A_', 'env_nested_delimiter': '__'}\n    region: str\n    _cache: int\n"
        "    signing_key: str = secrets.token_urlsafe(32)\n",
        a__main="""
from pydantic import AliasChoices, BaseModel, Field, SecretStr
from .base import Base
class Bank(BaseModel):
    account: SecretStr
    currency: str = "EUR"
    label: str
class Settings(Base):
    bank: Bank
    spare: Bank = Bank()
    hook: SecretStr = Field(alias="HOOK")
    either: str = Field(validation_alias=AliasChoices("ONE", "TWO"))
""",
    )
    found = find_environment(Sources.read(tmp_path), Services(), TOP)
    assert found.secrets == ("A_BANK__ACCOUNT", "A_SIGNING_KEY", "HOOK")
    assert sorted(found.settings) == ["A_BANK__LABEL", "A_REGION", "ONE"]


@pytest.mark.parametrize(
    ("source", "secrets", "settings"),
    [
        ("from decouple import config\nconfig('A')\nconfig('B', default=1)\nconfig('MY_TOKEN')", ["MY_TOKEN"], ["A"]),
        (
            "from starlette.config import Config\nc = Config('.env')\nc('A')\nc('B', int, 3)\nc('D', cast=Secret)",
            ["D"],
            ["A"],
        ),
        ("from environs import Env\nenv = Env()\nenv.str('A')\nenv.int('B', 3)\nenv('C')", [], ["A", "C"]),
        ("from env import config\nconfig('A')\nconfig.str('B')", [], []),
        ("config = dict\nconfig('A')", [], []),
        # What is read with a condition, or set here, may be missing,
        ("import os\nif 'A' in os.environ:\n    print(os.environ['A'])\nprint(os.environ['B'])", [], ["B"]),
        ("import os\nif os.getenv('A'):\n    print(os.environ['A'])", [], []),
        ("import os\nos.environ['A'] = 'x'\nprint(os.environ['A'])", [], []),
        ("import os\nos.environ.setdefault('A', 'x')\nprint(os.environ['A'])", [], []),
        # unless the answer ends the program.
        ("import os\nif 'A' not in os.environ:\n    raise E\nprint(os.environ['A'])", [], ["A"]),
        ("import os\nif not (a := os.environ.get('A')):\n    log()\n    raise E", [], ["A"]),
        ("import os\ntoken = os.getenv('MY_TOKEN')\nif token is None:\n    raise E", ["MY_TOKEN"], []),
        ("import os\ndef f():\n    if not os.getenv('A'):\n        raise E", [], []),
        ("import os\nif not os.getenv('A'):\n    log()\nb = os.getenv('B')\nif b == 'x':\n    log()", [], []),
    ],
)
def test_settings_that_calls_read(source: str, secrets: list[str], settings: list[str], tmp_path: Path) -> None:
    found = find_environment(Sources.read(write(tmp_path, main=source)), Services(), TOP)
    assert (list(found.secrets), list(found.settings)) == (secrets, settings)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        # Whose prefix is the class's, or the app's own.
        ("class S(BaseSettings):\n    model_config = {'env_prefix': 'SHOP_'}\n    db_base: str = ''", {"SHOP_DB_BASE": "{database}"}),
        (
            "class Db(BaseModel):\n    url: str\nclass S(BaseSettings):\n    model_config = {'env_prefix': 'X__', 'env_nested_delimiter': '__'}\n    db: Db",
            {"X__DB__URL": "{database_url}"},
        ),
        ("os.getenv('APP__DB_URI')", {"APP__DB_URI": "{database_url}"}),
        ("os.getenv('APP_DATABASE_URL', 'x')", {"APP_DATABASE_URL": "{database_url}"}),
        ("os.getenv('LEGACY_DB_HOST')", {}),
        ("class S(BaseSettings):\n    model_config = {'env_prefix': 'MONGO_'}\n    db_name: str", {}),
        ("os.getenv('TEST_DATABASE_URL')", {}),
        # Other words for the same.
        ("os.getenv('DB_PASSWD')\nos.getenv('SQL_PASS')", {"DB_PASSWD": "{password}", "SQL_PASS": "{password}"}),
        ("os.getenv('DATABASE_CONNECTION_STRING')", {"DATABASE_CONNECTION_STRING": "{database_url}"}),
        ("os.getenv('REDIS_PASSWORD')", {"REDIS_PASSWORD": "{broker_password}"}),
        ("os.getenv('CELERY_BACKEND_URL')\nos.getenv('RESULT_BACKEND')", {"CELERY_BACKEND_URL": "{redis_url}", "RESULT_BACKEND": "{redis_url}"}),
        ("os.getenv('BACKEND_URL')", {}),
    ],
)  # fmt: skip
def test_names_of_where_the_data_is(source: str, data: dict[str, str], tmp_path: Path) -> None:
    head = "import os\nfrom pydantic import BaseModel\nfrom pydantic_settings import BaseSettings\n"
    sources = Sources.read(write(tmp_path, app__config=head + source))
    assert find_environment(sources, Services(postgres=True, broker=True), TOP).data == data


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("os.getenv('DB_HOST')", True),
        ("os.getenv('DATABASE_URL')", True),
        ("class S(BaseSettings):\n    database_url: str", True),
        ("os.getenv('REDIS_HOST')", False),
        ("os.getenv('REGISTRY_HOST')", False),
        ("", False),
    ],
)
def test_whether_the_app_reads_where_postgresql_is(source: str, is_found: bool, tmp_path: Path) -> None:
    sources = Sources.read(write(tmp_path, main=f"import os\nfrom pydantic_settings import BaseSettings\n{source}\n"))
    assert find_environment(sources, Services(postgres=True, broker=True), TOP).finds_database is is_found


GETTER = "import os\ndef get(name, kind=str, default=None):\n    return kind(os.getenv(name, default))\n"
INSISTING = "import os\ndef get(name, kind, default=None):\n    if os.getenv(name) is None and default is None:\n        raise E\n"


@pytest.mark.parametrize(
    ("getter", "call", "settings", "unset"),
    [
        (GETTER, "get('REGION')\nget('MY_TOKEN')", [], ["MY_TOKEN"]),
        (INSISTING, "get('REGION', int)", ["REGION"], []),
        (INSISTING, "get('REGION', int, 3)\nget('LIST', list, default=[])", [], []),
        ("import os\ndef get(name):\n    return os.environ[name]\n", "get('REGION')", ["REGION"], []),
        ("import os\ndef get(name):\n    return os.environ['A']\n", "get('REGION')", ["A"], []),
        ("import os\ndef get(thing):\n    return os.getenv('B', thing)\n", "get('REGION')", [], []),
        (INSISTING, "get('not a name', int)\nget(name, int)", [], []),
    ],
)
def test_an_apps_own_function_that_reads_the_environment(
    getter: str, call: str, settings: list[str], unset: list[str], tmp_path: Path
) -> None:
    sources = Sources.read(write(tmp_path, shop__env=getter, shop__main=f"from shop.env import get\n{call}\n"))
    found = find_environment(sources, Services(), TOP)
    assert (list(found.settings), list(found.unset_secrets)) == (settings, unset)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("class S(BaseSettings):\n    secret_key: str = 'change-me'", ["SECRET_KEY"]),
        ("class S(BaseSettings):\n    jwt_secret: SecretStr = SecretStr('x')", ["JWT_SECRET"]),
        ("class S(BaseSettings):\n    admin_password: str = Field(default='admin')", ["ADMIN_PASSWORD"]),
        ("os.getenv('JWT_SECRET_KEY', 'x')", ["JWT_SECRET_KEY"]),
        ("class S(BaseSettings):\n    secret_key: str = ''\n    other_secret: str | None = None", []),
        ("class S(BaseSettings):\n    cookie_key: str = 'refresh'\n    token_algorithm: str = 'HS256'", []),
        ("class S(BaseSettings):\n    password_length: int = 8\n    secret_key: str", []),
    ],
)
def test_a_secret_with_a_default_in_the_code(source: str, names: list[str], tmp_path: Path) -> None:
    head = "import os\nfrom pydantic import Field, SecretStr\nfrom pydantic_settings import BaseSettings\n"
    sources = Sources.read(write(tmp_path, main=head + source))
    assert list(find_environment(sources, Services(), TOP).known_secrets) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("class S(BaseSettings):\n    app_env: str = 'dev'", ["APP_ENV"]),
        ("os.getenv('MODE', 'development')", ["MODE"]),
        ("os.getenv('APP_ENV_NAME', 'local')", ["APP_ENV_NAME"]),
        ("os.getenv('STORAGE_BACKEND', 'local')", []),
        ("class S(BaseSettings):\n    mode: str = Field(default='LOCAL')", ["MODE"]),
        ("class S(BaseSettings):\n    env: Kind = Kind.development", ["ENV"]),
        ("class S(BaseSettings):\n    env: Kind = Kind.production\n    x: str = other.thing", []),
        ("class S(BaseSettings):\n    environment: str = 'dev'", []),
        ("class S(BaseSettings):\n    mode: str = 'production'\n    device: str = 'device'", []),
    ],
)
def test_a_setting_that_is_for_development_by_default(source: str, names: list[str], tmp_path: Path) -> None:
    head = "import os\nfrom pydantic import Field\nfrom pydantic_settings import BaseSettings\n"
    sources = Sources.read(write(tmp_path, main=head + source))
    assert list(find_environment(sources, Services(), TOP).development) == names


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Literal['dev', 'prod']", ("prod", "prod")),
        ("Literal['local', 'staging', 'production']", ("production", "staging")),
        ("Literal['dev', 'stage', 'prod'] | None", ("prod", "stage")),
        ("Kind", ("PROD", "STAG")),
        ("str", ("production", "staging")),
        ("Literal['a', 'b']", ("production", "staging")),
    ],
)
def test_what_the_app_calls_its_environments(kind: str, names: tuple[str, str], tmp_path: Path) -> None:
    write(
        tmp_path,
        kinds="from enum import Enum\nclass Kind(str, Enum):\n    a = 'DEV'\n    b = 'PROD'\n    c = 'STAG'\n",
        main="from typing import Literal\nfrom kinds import Kind\nfrom pydantic_settings import BaseSettings\n"
        f"class S(BaseSettings):\n    environment: {kind}\n",
    )
    found = find_environment(Sources.read(tmp_path), Services(), TOP)
    assert (found.production_name, found.staging_name, found.settings) == (*names, {})


def test_values_of_example_files_beside_the_code_and_for_production(tmp_path: Path) -> None:
    names = ("A", "B", "C", "D")
    body = "".join(f"    {name.lower()}: str\n" for name in names)
    write(tmp_path, back__app__config=f"from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n{body}")
    for path, text in {
        ".env.example": "A=1\nB=1\nC=1\n",
        "back/.env.prod.example": "B=2\nC=\n",
        "back/.env.test.example": "B=3\n",
        "back/app/env.template": "D=4\n",
        "other/.env.example": "A=5\n",
    }.items():
        write(tmp_path, **{path: text})
    found = find_environment(Sources.read(tmp_path), Services(), PurePosixPath("back"))
    assert found.settings == {"A": "1", "B": "2", "C": "1", "D": "4"}


@pytest.mark.parametrize("name", ["DATABASE_URL_SYNC", "SYNC_DB_URI"])
def test_the_url_of_a_second_driver(name: str, tmp_path: Path) -> None:
    write(tmp_path, main=f"{FASTAPI}import os\nos.environ['{name}']\napp = FastAPI()\n")
    both = look(tmp_path, "fastapi\nuvicorn\nasyncpg\npsycopg2\nsqlalchemy\n").environment
    assert both.data == {name: "postgresql+psycopg2://{user}:{password}@{host}:{port}/{database}"}
    assert both.needs_tcp
    assert look(tmp_path, "fastapi\nuvicorn\nasyncpg\nsqlalchemy\n").environment.data == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_ALGORITHM", "HS256"),
        ("DEBUG", "false"),
        ("APP_HOST", "0.0.0.0"),
        ("X__API__PORT", "8000"),
        ("SMTP_HOST", ""),
        ("CORS", ""),
    ],
)
def test_a_setting_that_no_file_has_a_value_for(name: str, value: str, tmp_path: Path) -> None:
    write(tmp_path, main=f"{FASTAPI}import os\nos.environ['{name}']\napp = FastAPI()\n")
    assert look(tmp_path).environment.settings == {name: value}
    write(tmp_path, **{".env.example.": f"{name}=mine\n"})
    assert look(tmp_path).environment.settings == {name: "mine"}


@pytest.mark.parametrize("word", ["production", "prod"])
def test_a_stage_of_development_by_default_is_productions_if_the_code_has_its_word(word: str, tmp_path: Path) -> None:
    source = f"{FASTAPI}import os\nSTAGE = os.getenv('APP_ENV', 'dev')\napp = FastAPI()\n"
    write(tmp_path, main=f"{source}is_safe = STAGE == '{word}'\n")
    found = look(tmp_path).environment
    assert (found.settings, found.development) == ({"APP_ENV": word}, ())
    write(tmp_path, main=source)
    found = look(tmp_path).environment
    assert (found.settings, found.development) == ({}, ("APP_ENV",))


def test_celerys_broker_has_a_url_of_celerys(tmp_path: Path) -> None:
    write(tmp_path, main=f"{FASTAPI}import os\nos.getenv('TASK_BROKER', 'redis://localhost')\napp = FastAPI()\n")
    assert look(tmp_path, "fastapi\nuvicorn\ncelery[redis]\n").environment.data == {"TASK_BROKER": "{broker_url}"}


def test_values_in_git_and_of_compose_are_known_and_private_ones_are_not(tmp_path: Path) -> None:
    source = "import os\nA, B, C, D = (os.environ[n] for n in ())\n" + "".join(
        f"os.environ['{name}']\n" for name in ("TITLE", "REGION", "MODEL", "PLACE")
    )
    write(tmp_path, main=f"{FASTAPI}{source}app = FastAPI()\n")
    (tmp_path / "compose.yaml").write_text(
        "services:\n  a: {build: ., environment: [MODEL=small, PLACE=db, REGION=x]}\n  b: {build: ., environment: {TITLE: $T}}\n"
    )
    (tmp_path / ".env").write_text("TITLE=mine\nREGION=eu\n")
    assert look(tmp_path).environment.settings["TITLE"] == ""  # without git nobody knows whose these are
    subprocess.run(["git", "-C", tmp_path, "init", "--quiet"], check=True)
    assert look(tmp_path).environment.settings == {"TITLE": "mine", "REGION": "eu", "MODEL": "small", "PLACE": "db"}
    (tmp_path / ".env.example").write_text("REGION=us\n")
    (tmp_path / ".gitignore").write_text(".env\n")
    assert look(tmp_path).environment.settings == {"TITLE": "", "REGION": "us", "MODEL": "small", "PLACE": "db"}


@pytest.mark.parametrize(
    ("name", "value", "form"),
    [
        ("LINK", "postgresql+asyncpg://u:p@localhost/x", "{database_url}"),
        ("LINK", "redis://localhost:6379/0", "{redis_url}"),
        ("TASK_BROKER", "rediss://localhost", "{redis_url}"),
        ("TEST_LINK", "postgresql://localhost/x", ""),
        ("LINK", "https://example.com", ""),
    ],
)
def test_a_setting_of_any_name_whose_value_is_the_url_of_a_store(
    name: str, value: str, form: str, tmp_path: Path
) -> None:
    write(tmp_path, main=f"{FASTAPI}import os\nos.getenv('{name}', '{value}')\napp = FastAPI()\n")
    expected = {name: form} if form else {}
    assert look(tmp_path, "fastapi\nuvicorn\nasyncpg\nredis\n").environment.data == expected
    write(
        tmp_path,
        main=f"{FASTAPI}import os\nos.environ['{name}']\napp = FastAPI()\n",
        **{"example.env.": f"{name}={value}\n"},
    )
    assert look(tmp_path, "fastapi\nuvicorn\nasyncpg\nredis\n").environment.data == expected


@pytest.mark.parametrize(
    ("module", "field", "names"),
    [
        ("pydantic", "a: Optional[str]", []),
        ("pydantic.v1", "a: str | None", []),
        ("pydantic", "a: str", ["A"]),
        ("pydantic_settings", "a: str | None", ["A"]),
        ("pydantic_settings", "a: Annotated[dict, Field(default_factory=dict)]", []),
        ("pydantic_settings", "a: Annotated[str, Field(default='x')]", []),
        ("pydantic_settings", "a: Annotated[str, Field(min_length=3)]", ["A"]),
        ("pydantic_settings", "a: Annotated[str, Field(min_length=3)] = 'abc'", []),
        # Pydantic 1 has another word for the alias, which the second does not know.
        ("pydantic", "a: str = Field(..., env='OTHER')", ["OTHER"]),
        ("pydantic.v1", "a: str = Field(..., env=['ONE', 'TWO'])", ["ONE"]),
        ("pydantic_settings", "a: str = Field(..., env='OTHER')", ["A"]),
    ],
)
def test_a_setting_without_a_default(module: str, field: str, names: list[str], tmp_path: Path) -> None:
    write(tmp_path, main=f"from {module} import BaseSettings\nclass Settings(BaseSettings):\n    {field}\n")
    assert list(find_environment(Sources.read(tmp_path), Services(), TOP).settings) == names


def test_secrets_that_may_be_missing_and_urls_of_other_databases(tmp_path: Path) -> None:
    write(
        tmp_path,
        main="import os\nos.getenv('JWT_SECRET')\nos.environ.get('API_KEY', 'x')\nos.getenv('REGION')\nos.environ['MONGO_URI']\n"
        "os.environ['REDIS_HOST']\nos.environ['REDIS_QUEUE_PORT']\n",
    )
    found = find_environment(Sources.read(tmp_path), Services(external=("motor",), broker=True), TOP)
    assert (found.unset_secrets, found.secrets, found.settings) == (("JWT_SECRET",), ("MONGO_URI",), {})
    assert found.data == {"REDIS_HOST": "{host}", "REDIS_QUEUE_PORT": "6379"}


@pytest.mark.parametrize(
    ("package", "source", "commands"),
    [
        ("arq", "class WorkerSettings:\n    functions = [f]\n", ["exec arq shop.jobs.WorkerSettings"]),
        (
            "taskiq",
            "from taskiq import TaskiqScheduler\nfrom taskiq_redis import ListQueueBroker\n"
            "b = ListQueueBroker(1).with_result_backend(2)\ns = TaskiqScheduler(b, [])\n",
            [
                "exec taskiq worker shop.jobs:b --fs-discover --workers 1",
                "exec taskiq scheduler shop.jobs:s --fs-discover",
            ],
        ),
        ("dramatiq", "import dramatiq\n@dramatiq.actor\ndef f(): ...\n", ["exec dramatiq shop.jobs --processes 1"]),
        ("rq", "import rq\nq = rq.Queue()\n", ["exec rq worker default"]),
        (
            "rq",
            "from rq import Queue\na, b = Queue('high', connection=1), Queue(name='low')\na.enqueue_in(1)\n",
            ["exec rq worker high low --with-scheduler"],
        ),
        (
            "rq-scheduler",
            "from rq_scheduler import Scheduler\nfrom rq.queue import Queue\nq = Queue(NAME)\ns = Scheduler(queue=q)\n",
            ["exec rq worker default", "exec rqscheduler"],
        ),
        (
            "rq",
            "from rq import Queue, Worker\nif __name__ == '__main__':\n    Worker([Queue('a')]).work()\n",
            ["exec python -m shop.jobs"],
        ),
        ("saq", "settings = {'queue': q, 'functions': [f]}\nother = {'queue': q}\n", ["exec saq shop.jobs.settings"]),
        ("saq", "settings: S = SettingsDict(queue=q, functions=[f])\n", ["exec saq shop.jobs.settings"]),
        ("huey", "from huey import RedisHuey\nh = RedisHuey('x')\n", ["exec huey_consumer shop.jobs.h"]),
        (
            "procrastinate",
            "import procrastinate\na = procrastinate.App(1)\n",
            ["exec procrastinate --app=shop.jobs.a worker"],
        ),
        (
            "faststream[kafka]",
            "from faststream import FastStream\nconsumer = FastStream(1)\n",
            ["exec faststream run shop.jobs:consumer"],
        ),
        (
            "apscheduler",
            "from apscheduler.schedulers.blocking import BlockingScheduler\nif __name__ == '__main__':\n"
            "    BlockingScheduler().start()\n",
            ["exec python -m shop.jobs"],
        ),
        ("arq", "class Worker:\n    functions: list = [f]\n", ["exec arq shop.jobs.Worker"]),
        ("celery", "from celery import Celery\n", []),
    ],
)
def test_processes_of_other_queues(package: str, source: str, commands: list[str], tmp_path: Path) -> None:
    processes = find_processes(Sources.read(write(tmp_path, shop__jobs=source)), packages(package), TOP)
    assert [process.command for process in processes] == commands


def test_hueys_consumer_is_told_the_module_with_the_tasks(tmp_path: Path) -> None:
    write(
        tmp_path, shop__queue="import huey\nh = huey.SqliteHuey()\n", shop__tasks="@h.periodic_task(1)\ndef f(): ...\n"
    )
    (worker,) = find_processes(Sources.read(tmp_path), packages("huey"), TOP)
    assert worker.command == "exec huey_consumer shop.tasks.h"
    assert worker.is_single  # it also sends what is due


def test_rqs_commands_find_the_broker(tmp_path: Path) -> None:
    write(tmp_path, main=f"{FASTAPI}from rq import Queue\nQueue()\napp = FastAPI()\n")
    assert look(tmp_path, "fastapi\nuvicorn\nrq\n").environment.data == {"RQ_REDIS_URL": "{redis_url}"}


def test_celerys_processes(tmp_path: Path) -> None:
    write(tmp_path, shop__tasks="from celery import Celery\nqueue = Celery('shop')\nqueue.conf.beat_schedule = {}\n")
    worker, beat = find_processes(Sources.read(tmp_path), packages("celery"), TOP)
    assert worker.command.startswith("exec celery --app shop.tasks:queue worker")
    assert (beat.name, beat.is_single) == ("beat", True)


@pytest.mark.parametrize(
    "source",
    [
        "def make() -> celery.Celery:\n    return x\nqueue = make()\n",
        "queue: celery.Celery = make()\n",
        "from celery import Celery as Queue\nqueue = Queue('shop')\n",
    ],
)
def test_celerys_app_that_a_function_makes(source: str, tmp_path: Path) -> None:
    write(tmp_path, shop__tasks=f"import celery\n{source}")
    (worker,) = find_processes(Sources.read(tmp_path), packages("celery"), TOP)
    assert "--app shop.tasks:queue worker" in worker.command


@pytest.mark.parametrize(
    ("command", "started"),
    [
        ("exec celery worker", "exec uv run celery worker"),
        ("cd app && alembic upgrade head", "cd app && uv run alembic upgrade head"),
        ("exec poetry run celery", "exec poetry run celery"),
        ("exec ./start.sh x", "exec ./start.sh x"),
        ("", ""),
    ],
)
def test_a_program_that_a_runner_knows(command: str, started: str) -> None:
    assert started_by("uv run", command) == started


def test_composes_scheduler_is_one_more_process() -> None:
    worker, beat = Process("worker", "exec celery worker"), Process("celery_beat", "exec celery -A x beat -S y")
    single = Process("beat", "exec celery beat", is_single=True)
    assert joined((worker,), (worker, beat)) == (worker, beat)
    assert joined((worker, single), (beat,)) == (worker, single)
    assert joined((), (worker, beat)) == (worker, beat)
    assert joined((worker,), (Process("mail", "exec celery worker"), Process("mail", "exec /start-worker"))) == (
        worker,
    )
    consumer = Process("consumer", "exec python -m shop.consume")
    assert joined((worker,), (consumer, Process("mail", "exec celery worker"))) == (worker, consumer)


def test_composes_workers_for_queues_come_before_one_for_the_default_queue() -> None:
    worker, beat = Process("worker", "exec celery worker"), Process("beat", "exec celery beat", is_single=True)
    fast, slow = Process("fast", "exec celery worker -Q fast"), Process("slow", "exec celery worker --queues=slow")
    composed = Process("celery_beat", "exec celery beat")
    assert joined((worker,), (fast, slow, composed)) == (fast, slow, composed)
    assert joined((worker, beat), (fast, slow, composed)) == (beat, fast, slow)


@pytest.mark.parametrize(
    ("copied", "context"),
    [("COPY pyproject.toml .", "api"), ("COPY ./api /srv", "."), ("COPY --from=x /a /b\nADD [\"api/pyproject.toml\", \"/\"]", "."), ("COPY . .", "api")],
)  # fmt: skip
def test_the_context_of_a_dockerfile_is_where_its_files_are(copied: str, context: str, tmp_path: Path) -> None:
    write(tmp_path, **{"api__pyproject.toml": "", "api__x.Dockerfile": ""})
    (tmp_path / "api/Dockerfile").write_text(f"FROM x\n{copied}\n")
    found = find_dockerfile(tmp_path, [PurePosixPath("api"), TOP])
    assert found
    assert (str(found.path), str(found.context)) == ("api/Dockerfile", context)


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"Dockerfile.": "FROM python", "Dockerfile.prod": "FROM python"}, "Dockerfile.prod"),
        ({"Dockerfile.": "FROM python", "docker/Dockerfile.": "FROM python"}, "Dockerfile"),
        ({"dockerfile.": "FROM nvidia/cuda"}, "dockerfile"),
        ({"Dockerfile.": "FROM node:22 AS a\nFROM nginx\n", "docker/Dockerfile.": "FROM python"}, "docker/Dockerfile"),
        ({"Dockerfile.": "FROM node:22 AS a\nFROM python\n"}, "Dockerfile"),
        ({"Dockerfile.": "FROM postgres:17\nCOPY init.sql /x\n"}, None),
        ({"Dockerfile.": "FROM example/base\n"}, "Dockerfile"),
        # Elsewhere, if it starts a server and is no worker's.
        (
            {"docker/cpu/Dockerfile.": "FROM python\nCMD x\n", "docker/gpu/Dockerfile.": "FROM a\nCMD x\n"},
            "docker/cpu/Dockerfile",
        ),
        ({"Dockerfile.worker.": "FROM python\nCMD x\n", "api.Dockerfile.": "FROM python\nCMD x\n"}, "api.Dockerfile"),
        ({"Dockerfile.dev.": "FROM python\nCMD x\n", "docker/Dockerfile.app.": "FROM python\n"}, None),
    ],
)
def test_the_dockerfile_is_productions_and_pythons(files: dict[str, str], path: str | None, tmp_path: Path) -> None:
    found = find_dockerfile(write(tmp_path, **files), [TOP])
    assert (found and str(found.path)) == path


def test_composes_context_comes_before_a_guess(tmp_path: Path) -> None:
    write(tmp_path, **{"api/Dockerfile.": "FROM python\nCOPY main.py .\n", "api__main": ""})
    composed = Dockerfile(PurePosixPath("api/Dockerfile"), TOP)
    odd = Dockerfile(PurePosixPath("images/api"), TOP)
    assert find_dockerfile(tmp_path, [PurePosixPath("api")], [odd, composed]) == composed
    (tmp_path / "api/Dockerfile").unlink()
    assert find_dockerfile(tmp_path, [PurePosixPath("api")], [odd]) == odd
