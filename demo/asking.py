"""One request, as a person would make it to see what an app says."""

import http.client
from urllib.parse import urlsplit


def ask(url: str, path: str, host_header: str) -> int:
    """The status of GET `path`; 0 if there is no answer within two seconds."""
    return _get(url, path, host_header)[0]


def is_shortener(url: str) -> bool:
    """Whether the link shortener of app/ answers there, for which the load of tests/load is made."""
    return b'"/links"' in _get(url, "/openapi.json", "127.0.0.1")[1]


def _get(url: str, path: str, host_header: str) -> tuple[int, bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": host_header})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
