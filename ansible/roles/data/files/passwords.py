"""Gives users of PostgreSQL their passwords, which come as JSON by name on standard input. What changed is printed."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys

ROUNDS = 4096
STATEMENT = r"""
SELECT format('ALTER ROLE %I PASSWORD %L', :'name', :'kept') FROM pg_authid
    WHERE rolname = :'name' AND rolpassword IS DISTINCT FROM :'kept' \gexec
"""


def verifier(user: str, password: str) -> str:
    """What PostgreSQL keeps of a password for SCRAM-SHA-256 (RFC 5802, RFC 7677).

    The salt follows from both, so that the same password gives the same verifier and a second run changes nothing.
    """
    salt = hmac.digest(password.encode(), user.encode(), "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${ROUNDS}:{salt64}${stored64}:{server64}"


def main() -> int:
    """Set those that differ; return psql's exit status."""
    passwords = json.load(sys.stdin)
    program = "".join(
        f"\\set name '{name}'\n\\set kept '{verifier(name, password)}'\n{STATEMENT}\n"
        for name, password in passwords.items()
    )
    psql = ["runuser", "--user", "postgres", "--", "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file=-"]
    return subprocess.run(psql, input=program, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
