"""A service that listens on a port by itself, and tells what it can reach. BAZAAR=broken answers 500 once it has traffic."""

import os
import socket

from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/status/ready")
def ready(request: Request, response: Response) -> str:
    if os.environ.get("BAZAAR") == "broken" and request.headers.get("x-request-id"):
        response.status_code = 500
    return "ready"


@app.get("/about")
def about(request: Request, response: Response) -> dict[str, object]:
    if os.environ.get("BAZAAR") == "broken":
        response.status_code = 500
    client = request.client.host if request.client else None
    return {"release": os.environ["SLIPWAY_RELEASE"], "port": os.environ["PORT"], "client": client}


@app.get("/reach/{address}/{port}")
def reach(address: str, port: int) -> dict[str, bool]:
    try:
        socket.create_connection((address, port), 2).close()
    except OSError:
        return {"reached": False}
    return {"reached": True}


@app.get("/bytes/{count}")
def read(count: int) -> Response:
    return Response(b"x" * count, media_type="application/octet-stream")
