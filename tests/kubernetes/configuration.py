"""How the node's daemons are started, and their configuration files. They listen in the node's own network."""

import json
from pathlib import Path

BRIDGE = "kube0"
ADDRESS = "10.244.0.1"
"""Of the node, on the bridge of the pods."""
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/16"
PAUSE = "docker.io/library/slipway-pause:1"
"""The image that holds a pod's namespaces."""
CONTAINERD = "/run/containerd.sock"
API = "https://127.0.0.1:6443"

CONTAINERD_CONFIGURATION = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Lowering it takes CAP_SYS_RESOURCE, which a container or a sandbox may lack.
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

Command = tuple[str, ...]


def files(folder: Path) -> dict[Path, str]:
    """Render the configuration files of a node that keeps its files in `folder`."""
    ranges = [[{"subnet": PODS, "gateway": ADDRESS, "rangeStart": "10.244.0.10"}]]
    ipam = {"type": "host-local", "dataDir": "/run/cni", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    texts = {
        "tokens.csv": 'admin,admin,admin,"system:masters"\n',
        "resolv.conf": "",
        "containerd.toml": CONTAINERD_CONFIGURATION.format(folder=folder, socket=CONTAINERD, pause=PAUSE),
        "cni/pods.conflist": json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}),
    }
    documents = {
        "kubeconfig": {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "node", "cluster": {"server": API, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": "admin"}}],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": "admin", "namespace": "app"}}],
            "current-context": "node",
        },
        "kubelet.yaml": {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "failSwapOn": False,
            "failCgroupV1": False,
            "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
            # Without CAP_SYS_RESOURCE, and with the kernel's settings read-only.
            "featureGates": {"KubeletInUserNamespace": True},
            "localStorageCapacityIsolation": False,
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
            "podLogsDir": "/var/log/pods",
            "resolvConf": f"{folder}/resolv.conf",
        },
        "kube-proxy.yaml": {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": f"{folder}/kubeconfig"},
            "clusterCIDR": PODS,
            "mode": "iptables",
            "hostnameOverride": "node",
            # A setting of the machine.
            "conntrack": {"maxPerCore": 0, "min": 0},
        },
    }
    texts |= {name: json.dumps(document, indent=1) for name, document in documents.items()}
    return {folder / name: text for name, text in texts.items()}


def commands(folder: Path) -> list[tuple[Command, Command]]:
    """List the daemons in the order in which they start, each with a command that succeeds once it answers."""
    kubeconfig, certificates = f"--kubeconfig={folder}/kubeconfig", f"--cert-dir={folder}/certificates"
    key = f"{folder}/service-account.key"
    apiserver = (
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=InternalIP",
        certificates,
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
    )
    manager = (
        "kube-controller-manager",
        kubeconfig,
        certificates,
        f"--service-account-private-key-file={key}",
        f"--root-ca-file={folder}/certificates/apiserver.crt",
        "--leader-elect=false",
    )
    kubelet = (
        "kubelet",
        kubeconfig,
        f"--config={folder}/kubelet.yaml",
        f"--root-dir={folder}/kubelet",
        f"--node-ip={ADDRESS}",
        "--hostname-override=node",
    )
    return [
        (("containerd", f"--config={folder}/containerd.toml"), ("ctr", f"--address={CONTAINERD}", "version")),
        (("etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync"), ()),
        (apiserver, ("kubectl", "get", "--raw", "/readyz")),
        (manager, ()),
        (("kube-scheduler", kubeconfig, certificates, "--leader-elect=false"), ()),
        (kubelet, ()),
        (("kube-proxy", f"--config={folder}/kube-proxy.yaml"), ()),
    ]
