"""An app whose author is the attacker: it runs what it is sent. Besides, what tests of large bodies need.

POST /attacker/run      runs the body as Python, in a process of its own, and tells what came of it
POST /attacker/inside   runs the body in the worker itself, as that of an async function, and tells what it returns
POST /attacker/digest   tells the SHA-256 of the body
GET  /attacker/bytes    answers that many bytes (?COUNT), always the same ones
"""

import asyncio
import hashlib
import json
import random
import sys
import textwrap
from collections.abc import Awaitable, Callable
from typing import Any

SECONDS = 40
CHUNK = 1 << 16

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def body_of(receive: Receive) -> bytes:
    """The whole body of the request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def run(program: bytes) -> bytes:
    """Run a program with what a request's process has: its user, its sandbox and its open files."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        close_fds=False,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(program), SECONDS)
    except TimeoutError:
        process.kill()
        output, errors = b"", b"it did not end"
    return json.dumps({"output": output.decode(), "errors": errors.decode(), "status": process.returncode}).encode()


async def inside(program: bytes) -> bytes:
    """Run a program in the worker, which serves others meanwhile if the program lets it."""
    names: dict[str, Any] = {}
    exec("async def main():\n" + textwrap.indent(program.decode(), " "), names)
    return json.dumps(await names["main"]()).encode()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    match scope["path"].rpartition("/")[2]:
        case "run":
            answer = await run(await body_of(receive))
        case "inside":
            answer = await inside(await body_of(receive))
        case "digest":
            answer = hashlib.sha256(await body_of(receive)).hexdigest().encode()
        case _:
            answer = random.Random(0).randbytes(int(scope["query_string"]))
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(answer), CHUNK):
        more = start + CHUNK < len(answer)
        await send({"type": "http.response.body", "body": answer[start : start + CHUNK], "more_body": more})
