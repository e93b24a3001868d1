"""What a registry would hand over of an image to somebody who has another one: the layers that are new, gzipped."""

import json
import subprocess
import tarfile
import tempfile
import zlib
from typing import IO

from bench.host import BenchError
from demo.variants import inspect

GZIP = b"\x1f\x8b"
BLOCK = 1 << 20


def transfer(image: str, present: str | None = None) -> int:
    """Bytes of the layers that `image` has and `present` does not; of all if there is none.

    Raises:
        BenchError: Docker does not hand the image over.
    """
    have = set(inspect(present)["RootFS"]["Layers"]) if present else set()
    new = [index for index, layer in enumerate(inspect(image)["RootFS"]["Layers"]) if layer not in have]
    with tempfile.TemporaryFile() as file:
        saved = subprocess.run(["docker", "save", image], stdout=file, stderr=subprocess.PIPE, check=False)
        if saved.returncode:
            raise BenchError(f"docker save {image}: {saved.stderr.decode(errors='replace').strip()}")
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            manifest = json.load(_member(archive, "manifest.json"))
            return sum(_gzipped(_member(archive, manifest[0]["Layers"][index])) for index in new)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.extractfile(name)
    if member is None:
        raise BenchError(f"docker save wrote no {name}")
    return member


def _gzipped(layer: IO[bytes]) -> int:
    """The length of a layer once it is compressed; some Dockers keep it so."""
    count, first, compress = 0, b"", zlib.compressobj(wbits=31)
    plain = True
    while block := layer.read(BLOCK):
        if not first:
            first = block[:2]
            plain = first != GZIP
        count += len(compress.compress(block)) if plain else len(block)
    return count + (len(compress.flush()) if plain else 0)
