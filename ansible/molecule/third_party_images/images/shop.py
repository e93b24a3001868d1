"""A shop that knows nothing of Slipway: it answers to its own name, and is ready once `release:` has run for it."""

import os
import sys
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

RELEASED = Path(os.environ.get("STATE_DIRECTORY", "/tmp")) / "released"

app = FastAPI()
if folder := os.environ.get("SHOP_WRITES"):
    Path(folder, "started").touch()
app.add_middleware(TrustedHostMiddleware, allowed_hosts=[os.environ["SHOP_HOST"]])


def released() -> list[str]:
    """The releases for which the Procfile's `release:` has run."""
    return RELEASED.read_text().split() if RELEASED.exists() else []


@app.get("/health")
def health(response: Response) -> dict[str, bool]:
    ready = os.environ.get("SLIPWAY_RELEASE") in released()
    response.status_code = 200 if ready else 503
    return {"released": ready}


@app.get("/about")
def about() -> dict[str, object]:
    return {
        "name": os.environ["SHOP_NAME"],
        "motto": os.environ.get("SHOP_MOTTO"),
        "python": ".".join(map(str, sys.version_info[:2])),
        "folder": str(Path.cwd()),
        "home": os.environ["HOME"],
        "release": os.environ.get("SLIPWAY_RELEASE"),
        "released": released(),
    }


@app.post("/visits")
def visit() -> dict[str, object]:
    """Write beside the code, where the image has a file already."""
    folder = Path("data")
    with (folder / "visits").open("a") as visits:
        visits.write(f"{os.environ.get('SLIPWAY_RELEASE')}\n")
    return {"welcome": (folder / "welcome.txt").read_text(), "visits": (folder / "visits").read_text().split()}
