# shellcheck shell=bash
# What the tools have in common; sourced, never run.

set -euo pipefail
shopt -s inherit_errexit nullglob

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=$root/.cache
shared=~/.cache/slipway             # of all checkouts of this user: locks on what they share
mkdir -p "$cache/bin" "$cache/log" "$shared"

# Part of the name of every container and image, so that two checkouts do not meet (see tools/checkout.py).
SLIPWAY_CHECKOUT=${SLIPWAY_CHECKOUT:-$(printf %s "$root" | sha256sum | cut -c 1-6)}
export SLIPWAY_CHECKOUT

# The Debian package's docker wins over another client that happens to come first, which may be too new for its daemon.
docker_client=/usr/bin/docker
[[ -x $docker_client ]] || docker_client=docker

export DOCKER_BUILDKIT=1            # build secrets; the default only since Docker 23
export UV_PYTHON_DOWNLOADS=never    # Debian's Python, nothing from GitHub
# What this machine trusts: Debian's CAs and those a company or a sandbox added, which pip and uv would leave out.
export UV_SYSTEM_CERTS=true PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH=$root/.venv/bin:$cache/bin:$PATH:/usr/sbin:/sbin
unset VIRTUAL_ENV                   # uv would warn about somebody else's
unset PYTHONDONTWRITEBYTECODE       # each start of Ansible, and each of its workers, would compile it again

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# as_root COMMAND...: through sudo when a person who is not root calls.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root for: $* (install sudo, or run as root)"
    fi
}

# quietly LOG COMMAND...: runs it with its output in a file, which is shown if it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        local status=$?
        tail -n 30 "$log" >&2
        printf 'error: failed (%s): %s; the whole output is in %s\n' "$status" "$*" "$log" >&2
        return "$status"
    }
}

docker() { command "$docker_client" "$@"; }

# choose_python: prints the Python for the environments. The oldest that works is Debian 12's. A virtual environment that
# is on PATH would be the parent of ours: it looks below it.
choose_python() {
    local candidate PATH=${PATH#"$root/.venv/bin:"}
    for candidate in python3 /usr/bin/python3; do
        candidate=$(command -v "$candidate") || continue
        candidate=$("$candidate" -c 'import sys; print(sys.executable if sys.version_info >= (3, 11) else "")') || continue
        [[ -z $candidate ]] || { echo "$candidate" && return; }
    done
    fail "Python 3.11 or newer is needed: apt install python3"
}

# extra_ca: prints the path of the machine's own extra CAs as one PEM file, nothing if there are none.
# Builds and test hosts have to trust what this machine trusts (a company's proxy, say).
extra_ca() {
    local certificates=(/usr/local/share/ca-certificates/*.crt) pem=$cache/extra-ca.pem
    ((${#certificates[@]})) || return 0
    awk 1 "${certificates[@]}" >"$pem.$$"   # awk adds a last newline where one is missing
    mv "$pem.$$" "$pem"
    printf '%s\n' "$pem"
}
