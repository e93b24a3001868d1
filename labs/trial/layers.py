"""The size of a pull: the gzipped layers of an image that another image does not have."""

import json
import subprocess
import tarfile
import tempfile
import zlib
from typing import IO

from labs.command import LabError
from labs.images import inspect

GZIP = b"\x1f\x8b"
BLOCK = 1 << 20


def transfer(image: str, present: str | None = None) -> int:
    """Return the bytes of the layers that `image` has and `present` has not; of all layers without `present`.

    Raises:
        LabError: `docker save` failed.
    """
    have = set(inspect(present)["RootFS"]["Layers"]) if present else set()
    new = [index for index, layer in enumerate(inspect(image)["RootFS"]["Layers"]) if layer not in have]
    with tempfile.TemporaryFile() as file:
        saved = subprocess.run(["docker", "save", image], stdout=file, stderr=subprocess.PIPE, check=False)
        if saved.returncode:
            raise LabError(f"docker save {image}: {saved.stderr.decode(errors='replace').strip()}")
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            manifest = json.load(_member(archive, "manifest.json"))
            return sum(_gzipped(_member(archive, manifest[0]["Layers"][index])) for index in new)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.extractfile(name)
    if member is None:
        raise LabError(f"docker save wrote no {name}")
    return member


def _gzipped(layer: IO[bytes]) -> int:
    """Return the length of a layer once it is gzipped; some versions of Docker store it gzipped."""
    count, first, compress = 0, b"", zlib.compressobj(wbits=31)
    plain = True
    while block := layer.read(BLOCK):
        if not first:
            first = block[:2]
            plain = first != GZIP
        count += len(compress.compress(block)) if plain else len(block)
    return count + (len(compress.flush()) if plain else 0)
