"""On the VM: makes links at 127.0.0.1, which maintenance lets through, and prints each that is acknowledged."""

import json
import sys
import time
import urllib.request

end = time.monotonic() + float(sys.argv[1])
number = 0
while time.monotonic() < end:
    number += 1
    url = f"https://example.org/inside/{number}"
    data = json.dumps({"url": url}).encode()
    headers = {"Content-Type": "application/json", "Host": "127.0.0.1"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request("http://127.0.0.1/links", data, headers), timeout=30
        ) as response:
            print(json.load(response)["slug"], url, sep="|", flush=True)
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
    time.sleep(0.1)
