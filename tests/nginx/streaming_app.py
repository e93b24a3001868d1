"""The app behind nginx in these tests: streams, headers and bodies by request."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import FileResponse, StreamingResponse

PARTS = 4
PAUSE_SECONDS = 0.2
LARGE_BYTES = 32 << 20
"""More than all buffers of sockets."""

app = FastAPI()


async def parts(media: str, pause: float = PAUSE_SECONDS, silence: float = 0) -> AsyncIterator[str]:
    """Yield `PARTS` lines in the form of the media type, `pause` seconds apart, the last one after `silence` more."""
    for number in range(PARTS):
        if number:
            await asyncio.sleep(pause + (silence if number == PARTS - 1 else 0))
        yield f"data: part {number}\n\n" if media == "text/event-stream" else f"part {number}\n"


@app.api_route("/stream", methods=["GET", "POST"])
async def stream(media: str = "text/plain", pause: float = PAUSE_SECONDS, silence: float = 0) -> StreamingResponse:
    """Answer without Content-Length, one part at a time."""
    return StreamingResponse(parts(media, pause, silence), media_type=media)


@app.post("/v1/chat/completions")
async def completions() -> StreamingResponse:
    """Stream as OpenAI's API does."""

    async def chunks() -> AsyncIterator[str]:
        async for part in parts("text/plain"):
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            choice = {"index": 0, "delta": {"content": part}, "finish_reason": None}
            yield f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


reports: list[dict[str, tuple[int, float]]] = []
"""What the page's script saw of each stream: parts, and milliseconds from the first to the last."""


@app.get("/page")
async def page() -> FileResponse:
    """Answer with a page whose script reads streams."""
    return FileResponse(Path(__file__).with_name("page.html"))


@app.post("/report")
async def report(request: Request) -> None:
    """Take what the page's script saw."""
    reports.append(await request.json())


@app.get("/silent")
async def silent(seconds: float) -> Response:
    """Answer nothing for a while."""
    await asyncio.sleep(seconds)
    return Response("late")


@app.get("/file")
async def file(media: str) -> Response:
    """Answer with 4 kB of a type, and with their length."""
    return Response(b"0123456789abcdef" * 256, headers={"Content-Type": media})


sent: set[str] = set()
"""Names of the large answers that nginx has taken as a whole."""


@app.get("/large")
async def large(name: str, buffering: str = "") -> StreamingResponse:
    """Answer with `LARGE_BYTES` and note when they are sent."""

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(LARGE_BYTES >> 16):
            yield bytes(1 << 16)
        sent.add(name)

    headers = {"Content-Length": str(LARGE_BYTES)} | ({"X-Accel-Buffering": buffering} if buffering else {})
    return StreamingResponse(blocks(), headers=headers)


@app.get("/encoded")
async def encoded(encoding: str) -> StreamingResponse:
    """Stream what the app says that it has compressed itself."""
    return StreamingResponse(parts("text/plain", 0), headers={"Content-Encoding": encoding}, media_type="text/plain")


@app.get("/set-headers")
@app.get("/set-headers/{_:path}")
async def set_headers(request: Request) -> Response:
    """Answer with the headers that the query names."""
    return Response(headers=dict(request.query_params))


@app.get("/large-headers")
async def large_headers(size: int) -> Response:
    """Answer with headers of `size` bytes altogether, in lines of 4 kB as cookies are."""
    response = Response()
    for number in range(size // 4096):
        response.headers.append("Set-Cookie", f"c{number}={'x' * 4070}")
    return response


@app.api_route("/request", methods=["GET", "POST", "HEAD"])
async def request(request: Request) -> dict[str, object]:
    """Tell what arrived."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    client = request.client.host if request.client else None
    return {"headers": request.headers.items(), "size": size, "client": client, "url": str(request.url)}


@app.websocket("/ws")
async def websocket(socket: WebSocket) -> None:
    """Accept a WebSocket, and wait until the client closes it."""
    await socket.accept()
    async for _ in socket.iter_text():
        pass
