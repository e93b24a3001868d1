"""Single HTTP requests, without proxies, redirects or retries."""

import http.client
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 2.0


def request(
    url: str, path: str, *, host_header: str, method: str = "GET", body: str = "", timeout: float = TIMEOUT_SECONDS
) -> tuple[int, bytes]:
    """Send one request on a connection of its own.

    Returns the status and the body; status 0 if no complete response came within `timeout` seconds of silence.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)
    headers = {"Host": host_header} | ({"Content-Type": "application/json"} if body else {})
    try:
        connection.request(method, path, body=body or None, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def is_shortener(url: str) -> bool:
    """Tell whether the link shortener of app/ answers at a URL."""
    return b'"/links"' in request(url, "/openapi.json", host_header="127.0.0.1")[1]
