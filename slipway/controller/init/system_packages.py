"""Debian's packages that the image needs for the app's own: what these have no wheel for, or call as a program."""

import re
from collections.abc import Iterator
from pathlib import Path

from slipway.controller.init.packages import Packages
from slipway.controller.init.text import read, toml

COMPILER = ("gcc", "libc6-dev")
NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cairosvg": (("libcairo2",), ()),
    "ffmpeg-python": (("ffmpeg",), ()),
    "graphviz": (("graphviz",), ()),
    "mysqlclient": (("libmariadb3",), (*COMPILER, "libmariadb-dev", "pkg-config")),
    "opencv-contrib-python": (("libgl1", "libglib2.0-0"), ()),
    "opencv-python": (("libgl1", "libglib2.0-0"), ()),
    "pdf2image": (("poppler-utils",), ()),
    "psycopg": (("libpq5",), ()),
    "psycopg[c]": (("libpq5",), (*COMPILER, "libpq-dev")),
    "psycopg2": (("libpq5",), (*COMPILER, "libpq-dev")),
    "pydub": (("ffmpeg",), ()),
    "pyodbc": (("unixodbc",), ()),
    "pytesseract": (("tesseract-ocr",), ()),
    "python-ldap": (("libldap2", "libsasl2-2"), (*COMPILER, "libldap2-dev", "libsasl2-dev")),
    "python-magic": (("libmagic1",), ()),
    "pyzbar": (("libzbar0",), ()),
    "weasyprint": (("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"), ()),
    "xmlsec": (("libxmlsec1-openssl",), (*COMPILER, "libxmlsec1-dev", "pkg-config")),
}
"""The packages of Python, what each needs at run time, and what builds it."""
LISTS = ("Aptfile", "apt.txt", "packages.txt", "apt-packages.txt", "system-requirements.txt")
"""Files of Heroku and others with Debian's packages, one a line."""
OTHERS = ("*ockerfile*", "docker/*ockerfile*", ".devcontainer/*ockerfile*")
INSTALLED = re.compile(r"\bapt(?:-get)?\s+(?:-\S+\s+)*install\b([^&;|]*)")
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")
BUILDS = re.compile(r".+-dev|gcc|g\+\+|make|cmake|build-essential|pkg-config|rustc|cargo|gfortran|git|swig")
"""What is needed to build a package; so is `python3-dev`, which an image of Python has."""
UNNEEDED = re.compile(
    r"python3?[\d.]*(-(dev|pip|venv|setuptools|distutils))?|curl|wget|vim|nano|sudo|bash|zsh|less|procps|htop|netcat\S*|net-tools"
    r"|iputils-ping|dnsutils|telnet|postgresql(-client)?|default-mysql-client|redis\S*|nginx|supervisor|cron|gnupg\d?|lsb-release"
    r"|openssh-\w+|ssh|nodejs|npm|software-properties-common|apt-utils|apt-transport-https|ca-certificates|tzdata|locales|unzip|zip"
    r"|dos2unix|gosu|tini|dumb-init|jq|tree|libpq-dev|libpq5|default-libmysqlclient-dev"
)
"""Tools of people, what the base image or Slipway's host has, and what the packages above bring by themselves."""
RENAMED = {
    "libgl1-mesa-glx": "libgl1",
    "libgl1-mesa-dev": "libgl1",
    "libglib2.0-dev": "libglib2.0-0",
    "libmagic-dev": "libmagic1",
}
"""Names that Debian 13 no longer has, and such of a library's headers where the library will do."""


def system_packages(folder: Path, packages: Packages) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the packages of the running image and those of the stage that builds, both sorted.

    Args:
        folder: the repository, whose other Dockerfiles and lists may name some.
        packages: what the app requires.
    """
    runtime: set[str] = set()
    build: set[str] = {"git"} if packages.needs_git else set()
    binary = packages.has("psycopg[binary]", "psycopg-binary")
    for name, (needed, building) in NEEDED.items():
        if packages.has(name) and not (name == "psycopg" and binary):
            runtime.update(needed)
            build.update(building)
    places = dict.fromkeys((folder / packages.folder / packages.workdir, folder / packages.folder, folder))
    listed = {RENAMED.get(name, name) for place in places for name in _listed(place)}
    runtime |= {name for name in listed if not BUILDS.fullmatch(name)}
    build |= {name for name in listed if BUILDS.fullmatch(name)}
    # Without the library's own name: what it is called differs between Debian's releases.
    runtime |= {name for name in listed if name.startswith("lib") and name.endswith("-dev")}
    return tuple(sorted(runtime)), tuple(sorted(build))


def _listed(place: Path) -> Iterator[str]:
    """Yield the packages that Dockerfiles install, and those of lists."""
    words = []
    for path in sorted({path for pattern in OTHERS for path in place.glob(pattern) if path.is_file()}):
        recipe = re.sub(r"#[^\n]*", "", read(path))
        if "alpine" not in recipe:
            words += [word for found in INSTALLED.findall(re.sub(r"\\\n", " ", recipe)) for word in found.split()]
    words += [line for name in LISTS for line in read(place / name).splitlines()]
    nixpacks = toml(place / "nixpacks.toml").get("phases", {}).get("setup", {}).get("aptPkgs", [])
    for word in (*words, *nixpacks):
        name = str(word).strip()
        if NAME.fullmatch(name) and not UNNEEDED.fullmatch(name):
            yield name
