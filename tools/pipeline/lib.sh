# shellcheck shell=bash
# What the pipeline's scripts have in common; sourced, never run. They are the work of .github/workflows/, and run as well on
# a laptop: what GitHub gives them as variables is then left out.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# What one run keeps: the artifact, and what hosts said.
work=$cache/pipeline
mkdir -p "$work"

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT

# output NAME VALUE: an output of the workflow's step; printed where there is none.
output() { printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT:-/dev/stdout}"; }

# summary: adds what comes in to the run's page; printed where there is none.
summary() { cat >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"; }

# as_text COMMAND...: runs it so that no line it prints is taken for a command to the workflow (::error:: and the like): apps
# log what they are sent.
as_text() {
    local token status=0
    if [[ ${GITHUB_ACTIONS:-} != true ]]; then
        "$@"
        return
    fi
    token=$(</proc/sys/kernel/random/uuid)
    echo "::stop-commands::$token"
    "$@" || status=$?
    echo "::$token::"
    return "$status"
}

# environment NAME: checks that there is such an inventory.
environment() {
    [[ $1 =~ ^[a-z][a-z0-9-]*$ && -e $root/ansible/inventories/$1/hosts.yml ]] ||
        fail "no such environment: $1 (there are: $(cd "$root/ansible/inventories" && echo *))"
}

# digest REFERENCE: checks that an image is named by its digest, which is what was signed: a tag can be moved.
digest() {
    [[ $1 =~ ^[A-Za-z0-9./:_-]+@sha256:[0-9a-f]{64}$ ]] || fail "not an image by digest: $1 (name@sha256:...)"
}

# registry_name: where images are kept, without a tag.
registry_name() {
    local name=${SLIPWAY_REGISTRY:-}
    [[ -n $name || -n ${GITHUB_REPOSITORY:-} ]] || fail "say where images are kept: SLIPWAY_REGISTRY=registry.example.com/app"
    echo "${name:-ghcr.io/${GITHUB_REPOSITORY,,}}"
}

# registry_login NAME: GitHub's own token goes to GitHub's registry only. Without a password: whatever this login has already.
registry_login() {
    local host=${1%%/*} user=${REGISTRY_USERNAME:-} password=${REGISTRY_PASSWORD:-}
    if [[ $host == ghcr.io && -z $password && -n ${GITHUB_TOKEN:-} ]]; then
        user=$GITHUB_ACTOR password=$GITHUB_TOKEN
    fi
    [[ -n $password ]] || return 0
    # Not into the home of whoever runs this.
    export DOCKER_CONFIG=$private
    docker login "$host" --username "$user" --password-stdin <<<"$password" >/dev/null
}

# signing_log, verifying_log: fill `log` with whether a signature is entered, and looked up, in Sigstore's public log.
#   SLIPWAY_TRANSPARENCY_LOG  rekor (where nothing is said), none
signing_log() {
    log=()
    [[ ${SLIPWAY_TRANSPARENCY_LOG:-rekor} != none ]] || log=(--tlog-upload=false --use-signing-config=false)
}
verifying_log() {
    log=()
    [[ ${SLIPWAY_TRANSPARENCY_LOG:-rekor} != none ]] || log=(--insecure-ignore-tlog=true)
}

# connection: fills `ssh_options`, and `connect` with the same for Ansible, so that they use the key and the hosts' keys that are
# in the environment, and no others. On a laptop: empty, ssh has its own.
connection() {
    connect=() ssh_options=()
    if [[ -z ${SLIPWAY_SSH_KEY:-} ]]; then
        [[ ${GITHUB_ACTIONS:-} != true ]] || fail "no SLIPWAY_SSH_KEY: set this environment up by make github ENV=..."
        return 0
    fi
    [[ -n ${SLIPWAY_KNOWN_HOSTS:-} ]] || fail "no SLIPWAY_KNOWN_HOSTS: set this environment up by make github ENV=..."
    (umask 077 && printf '%s\n' "$SLIPWAY_SSH_KEY" >"$private/key")
    printf '%s\n' "$SLIPWAY_KNOWN_HOSTS" >"$private/known_hosts"
    ssh_options=("-oUserKnownHostsFile=$private/known_hosts" -oGlobalKnownHostsFile=none -oStrictHostKeyChecking=yes
        -oIdentitiesOnly=yes "-oIdentityFile=$private/key")
    connect=(--extra-vars "ansible_ssh_private_key_file=$private/key" --extra-vars "ansible_ssh_common_args='${ssh_options[*]}'")
}

# playbook ENVIRONMENT ARGUMENT...: the hosts' audit names who runs the workflow, and the run; on a laptop, the person's login.
playbook() {
    local by=()
    [[ ${GITHUB_ACTIONS:-} != true ]] ||
        by=(--extra-vars "release_deployed_by='$GITHUB_ACTOR by $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID'")
    (cd "$root/ansible" && ANSIBLE_NOCOLOR=1 ansible-playbook --inventory "inventories/$1" "${connect[@]}" "${by[@]}" "${@:2}")
}

# statuses ENVIRONMENT FOLDER: what each host says of itself, one file of JSON a host.
statuses() { "$root/tools/pipeline/statuses" "$1" "$2" "${ssh_options[@]}"; }
