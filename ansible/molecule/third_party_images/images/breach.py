"""The shop, which breaks the line of the contract that BREACH names."""

import os
import socket
import threading
import time
from pathlib import Path

from shop import app

BREACH = os.environ.get("BREACH", "none")

if BREACH == "write":
    Path("cache").mkdir()
elif BREACH == "lookup":
    socket.getaddrinfo("prices.example.com", 443)
elif BREACH == "thread":
    threading.Thread(target=time.sleep, args=(3600,), name="prices", daemon=True).start()


@app.get("/slow")
def slow() -> dict[str, str]:
    time.sleep(1.5)
    return {"slow": "done"}
