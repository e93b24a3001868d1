"""What the tests do with a node: deploy by the tool or by the commands of the documentation, send traffic, wait."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from labs.command import ROOT, LabError, progress, run
from tests.kubernetes.images import SERVICES, build
from tests.kubernetes.node import Node
from tests.platforms import page
from tests.platforms.images import RELEASES, release, service
from tests.platforms.traffic import traffic
from tests.platforms.waiting import within

PAGE = ROOT / "docs/how-to/deploy-to-kubernetes.md"
OVERLAY = "kubernetes/overlays/production"
"""In the commands of the page; the tests have an overlay of their own."""
REGISTRY = "registry.example.com/app"
"""No registry: the node has each image by its digest."""
ENVIRONMENT = "node"
SLIPWAY = str(Path(sys.executable).parent / "slipway")
DATABASE, BROKER = "10.96.0.100", "10.96.0.101"
FIRST_SECONDS = 180
FOLDER = ROOT / ".cache/kubernetes"
"""Of the node."""


def commands(title: str) -> list[list[str]]:
    """Return the commands of the page below a heading."""
    return page.commands(PAGE, title)


class Cluster:
    """A node with the namespace of the app, its Secrets, its database and its broker."""

    def __init__(self, node: Node, folder: Path) -> None:
        """Name the node and a folder for the overlays."""
        self.node, self.folder = node, folder
        self.digests: dict[str, str] = {}
        """The images of the releases, by digest."""

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl and return its output.

        Raises:
            LabError: it failed.
        """
        done = self.node.run("kubectl", *arguments, text=text)
        if done.returncode:
            raise LabError(f"kubectl {shlex.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return what kubectl gets, as objects."""
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def load_images(self) -> None:
        """Build the images and import them: none is pulled."""
        archive = self.folder / "images.tar"
        run("docker", "save", f"--output={archive}", *build())
        done = self.node.run("ctr", "images", "import", str(archive))
        assert done.returncode == 0, done.stderr
        archive.unlink()
        releases = {f"docker.io/library/{release(name)}": name for name in ("first", *RELEASES)}
        for line in self.node.run("ctr", "images", "list").stdout.splitlines():
            image, _, digest, *_ = line.split()
            if image in releases:
                self.digests[releases[image]] = f"{REGISTRY}@{digest}"
                tagged = self.node.run("ctr", "images", "tag", image, f"{REGISTRY}@{digest}")
                assert tagged.returncode == 0, tagged.stderr

    def prepare(self) -> None:
        """Do what the page says is done once, and start the database and the broker."""
        within(60, lambda: self.condition("node/node", "Ready"))
        secrets = {
            "database_url": f"postgresql://app:for-tests@{DATABASE}/app",
            "database_url_owner": f"postgresql://owner:for-tests@{DATABASE}/app",
            "broker_url": f"redis://app:for-tests@{BROKER}/0",
        }
        for name, value in secrets.items():
            (self.folder / name).write_text(value)
        (self.folder / "kubernetes").symlink_to(ROOT / "kubernetes")
        for command in commands("Once"):
            if "GATEWAY" not in command:
                done = self.node.run(*command, folder=self.folder)
                assert done.returncode == 0, done.stderr
        names = {name: service(name).split(":") for name in SERVICES}
        overlay = [{"name": name, "newName": image, "newTag": tag} for name, (image, tag) in names.items()]
        data = self.folder / "data"
        data.mkdir()
        (data / "data.yaml").write_text(Path(__file__).with_name("data.yaml").read_text())
        (data / "kustomization.yaml").write_text(json.dumps({"resources": ["data.yaml"], "images": overlay}))
        self.kubectl("create", "namespace", "data")
        files = [f"--from-file={self.folder / name}" for name in secrets]
        self.kubectl("create", "secret", "generic", "data", "--namespace=data", *files)
        self.kubectl("apply", "-k", str(data))
        for name in SERVICES:
            self.kubectl("rollout", "status", f"deployment/{name}", "--namespace=data", "--timeout=90s")

    def overlay(self, name: str) -> Path:
        """Write an overlay of `one-node` with a release's image."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        image, tag = release(name).split(":")
        document = {
            "resources": [os.path.relpath(ROOT / "kubernetes/overlays/one-node", folder)],
            "images": [{"name": REGISTRY, "newName": image, "newTag": tag}],
        }
        (folder / "kustomization.yaml").write_text(json.dumps(document))
        return folder

    def project(self, *patches: dict[str, Any]) -> Path:
        """Write an adopter's project whose environment is this cluster, by the login `deployer`."""
        folder = self.folder / "project"
        environment = folder / "deploy" / ENVIRONMENT
        (environment / "kubernetes").mkdir(parents=True, exist_ok=True)
        variables = {"engine": "kubernetes", "kubernetes_context": "deployer", "kubernetes_namespace": "app"}
        (environment / "hosts.yml").write_text(json.dumps({"app": {"hosts": {"cluster": variables}}}))
        base = os.path.relpath(ROOT / "kubernetes/overlays/one-node", environment / "kubernetes")
        document = {"resources": [base], "patches": list(patches)}
        (environment / "kubernetes/kustomization.yaml").write_text(json.dumps(document))
        return folder

    def allow_deployer(self) -> None:
        """Do what the page says is done once for CI."""
        for line in page.block(PAGE, "From GitHub").splitlines():
            done = self.node.run("sh", "-c", line, folder=self.folder)
            assert done.returncode == 0, done.stderr

    def slipway(self, *words: str, seconds: int = 0) -> CompletedProcess[str]:
        """Run the tool in the adopter's project. After `seconds` it gets Ctrl-C's signal."""
        interrupt = ["timeout", "--preserve-status", "--signal=INT", str(seconds)] if seconds else []
        done = self.node.run(*interrupt, SLIPWAY, *words, folder=self.folder / "project")
        print(f"$ slipway {shlex.join(words)}\n{done.stdout}{done.stderr}")
        return done

    def deploy(self, name: str, *patches: dict[str, Any], seconds: int = 0) -> CompletedProcess[str]:
        """Deploy a release by the tool, as the login `deployer`."""
        self.project(*patches)
        return self.slipway("deploy", ENVIRONMENT, "--image", self.digests[name], seconds=seconds)

    def status(self) -> Any:
        """Return what the tool says of the namespace."""
        return json.loads(self.slipway("status", ENVIRONMENT, "--json").stdout)[ENVIRONMENT]

    def deploy_by_hand(self, name: str) -> CompletedProcess[str]:
        """Deploy by the page's commands until one fails. Returns how the last one ended."""
        folder = str(self.overlay(name))
        for command in commands("By hand"):
            done = self.node.run(*(folder if argument == OVERLAY else argument for argument in command))
            print(f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}")
            if done.returncode:
                break
        return done

    def condition(self, name: str, condition: str) -> bool:
        """Tell whether an object has a condition."""
        found = self.node.run("kubectl", "get", name, "--output=json")
        # A new object has no status yet, or `conditions: null`.
        status = json.loads(found.stdout).get("status") or {} if found.returncode == 0 else {}
        return any((one["type"], one["status"]) == (condition, "True") for one in status.get("conditions") or [])

    def pods(self, component: str = "web") -> dict[str, dict[str, Any]]:
        """Return the pods of a component that are ready and not terminating, by name."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        ready = {}
        for pod in self.get("pods", selector)["items"]:
            conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
                ready[pod["metadata"]["name"]] = pod
        return ready

    def revisions(self) -> set[str]:
        """Return the releases that the ready web pods are of."""
        return {pod["metadata"]["labels"]["pod-template-hash"] for pod in self.pods().values()}

    def url(self) -> str:
        """Return the address of the Service, as the node reaches it."""
        return f"http://{self.get('service/web')['spec']['clusterIP']}"

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the app answers to GET, or to POST if there is a body, as JSON; None for an empty response."""
        post = [] if body is None else ["--json", json.dumps(body)]
        done = self.node.run("curl", "--silent", "--show-error", "--fail", "--max-time", "10", *post, self.url() + path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    @contextmanager
    def traffic(self, name: str) -> Iterator[dict[str, Any]]:
        """Send traffic while the block runs; fills what it yields."""
        with traffic(self.node.run, self.url(), self.folder / "load", name) as summary:
            yield summary
        if summary["failures"]:
            print(self.kubectl("get", "events", "--field-selector=type=Warning"))


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start a node with the first release deployed, and remove it after the block."""
    subprocess.run([ROOT / "tools/go-tool", "etcd", "kubernetes"], check=True)
    node = Node(FOLDER)
    try:
        node.start()
        progress("kubernetes", "the API answers")
        cluster = Cluster(node, folder)
        cluster.load_images()
        cluster.prepare()
        progress("kubernetes", "the database and the broker run")
        assert cluster.deploy_by_hand("first").returncode == 0
        cluster.allow_deployer()
        within(FIRST_SECONDS, lambda: len(cluster.pods()) == 2)
        progress("kubernetes", "the app is deployed")
        yield cluster
    finally:
        node.remove()
