"""A service that reads its secret from its environment and nowhere else, as many do."""

import hashlib
import os
import sys

from fastapi import FastAPI, Request

KEY = os.environ["VAULT_KEY"]

app = FastAPI()


@app.get("/status/ready")
def ready() -> str:
    return "ready"


@app.get("/about")
def about(request: Request) -> dict[str, object]:
    return {
        "release": os.environ.get("SLIPWAY_RELEASE"),
        "key": hashlib.sha256(KEY.encode()).hexdigest(),
        "python": ".".join(map(str, sys.version_info[:2])),
        "scheme": request.url.scheme,
        "client": request.client.host if request.client else None,
    }
