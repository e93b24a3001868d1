"""One request, as a person would make it to see what an app says."""

import http.client
from urllib.parse import urlsplit


def ask(url: str, path: str, host_header: str) -> int:
    """The status of GET `path`; 0 if there is no answer within two seconds."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": host_header})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
