"""Dumps of which no published sample is known, and the JSON of listings, written after the commands' own source.

`TWINS` holds the same state twice: as the table that a command prints, and as its `-o json`.
"""

import json
from pathlib import Path
from typing import Any

IP_LIST = """\
IP                  IDENTITY                                       SOURCE
0.0.0.0/0           reserved:world
10.0.0.9/32         k8s:app=echo                                   custom-resource
                    k8s:io.kubernetes.pod.namespace=shop
10.0.1.4/32         health                                         custom-resource
172.18.0.3/32       reserved:kube-apiserver                        kube-apiserver
                    reserved:remote-node
"""
IP_LIST_VERBOSE = """\
IP              IDENTITY   SOURCE            HOST         ENCRYPT_KEY
10.0.0.9/32     33511      custom-resource   172.18.0.2   0
fd00::9/128     33511      custom-resource   172.18.0.2   3
"""
TUNNELS = """\
TUNNEL         VALUE
10.0.1.0:0     172.18.0.3:0
10.0.2.0:0     172.18.0.4:0
"""
FQDN = """\
Endpoint   Source       FQDN              TTL    ExpirationTime             IPs
725        lookup       example.com.      3600   2021-09-09T21:34:13.051Z   93.184.216.34
725        connection   cdn.example.net   0      2021-09-09T21:34:13.051Z   192.0.2.1,2001:db8::1
"""
FQDN_OLD = """\
Endpoint   FQDN           TTL    ExpirationTime             IPs
725        example.com.   3600   2019-09-09T21:34:13.051Z   93.184.216.34
"""
MAP = """\
$ cilium map get cilium_lb4_services_v2
Key                     Value                  State   Error
10.96.0.10:53/UDP (0)   0 2[0] (4) [0x0 0x0]   sync
10.96.0.10:53/UDP (1)   7 0[0] (4) [0x0 0x0]   sync
10.96.0.10:53/UDP (2)   8 0[0] (4) [0x0 0x0]   insert  operation not permitted
"""
MAP_LIST = """\
Name                       Num entries   Num errors   Cache enabled
cilium_policy_v2_00025     3             0            true
cilium_ipcache_v2          14            0            true
cilium_ct4_global          0             0            false
"""
METRICS = """\
REASON                    DIRECTION   PACKETS   BYTES       LINE   FILE
Interface                 INGRESS     2170      1006934     1142   bpf_host.c
Policy denied             INGRESS     12        888         2053   bpf_lxc.c
Policy denied by denylist EGRESS      3         222         1274   bpf_lxc.c
Success                   SERVICE     4         400         91     lb.h
"""
LB_SLOTS = """\
SERVICE ADDRESS               BACKEND ADDRESS (REVNAT_ID) (SLOT)
10.96.0.10:53/UDP (0)         0.0.0.0:0 (4) (0) [ClusterIP, non-routable]
10.96.0.10:53/UDP (1)         10.0.0.7:53/UDP (4) (1)
10.96.0.11:80/TCP (1)         backend 12 not found
10.96.0.12:80/TCP/i (0)       0.0.0.0:0 (6) (0) [NodePort, Local, InternalLocal]
10.96.0.13:0/ANY (0)          0.0.0.0:0 (0) (0) [ClusterIP, non-routable]
10.96.0.14:443/TCP (0)        0.0.0.0:0 (8) (0) [ClusterIP, non-routable] (L7LB Proxy Port: 14500)
[fd00:10:96::a]:53/UDP (0)    [::]:0 (9) (0) [ClusterIP, non-routable]
[fd00:10:96::a]:53/UDP (1)    [fd00:10:244::7]:53/UDP (9) (1)
"""
LB_FRONTENDS = """\
SERVICE ADDRESS         BACKEND ID
10.96.0.10:53/UDP (1)   7 0[0] (4) [0x0 0x0]
10.96.0.10:53/UDP (0)   0 2 (4) [0x40 0x8]
10.96.0.1:443           1 (2) [FLAGS: 0x1]
"""
LB_BACKENDS = """\
ID   BACKEND ADDRESS (REVNAT_ID) (SLOT)
7    UDP://10.0.0.7:53
8    ANY://10.0.0.8:53
9    TCP://[fd00::7]:53
"""
LB_REVNAT = """\
ID   BACKEND ADDRESS (REVNAT_ID) (SLOT)
4    10.96.0.10:53
5    [fd00:10:96::a]:53
"""
LB_RANGES = """\
SOURCE RANGE (REVNAT_ID)
10.0.0.0/8 (5)
2001:db8::/32 (5)
"""
SERVICES = """\
ID   Frontend                 Service Type          Backend
1    10.96.0.1:443/TCP        ClusterIP             1 => 172.18.0.2:6443/TCP (active)
2    10.96.0.10:53/UDP        ClusterIP
3    0.0.0.0:30080/TCP        NodePort              1 => 10.0.0.9:8080/TCP (terminating)
                                                    2 => 10.0.1.9:8080/TCP (active) (preferred)
4    0.0.0.0:30080/TCP/i      NodePort              1 => 10.0.0.9:8080/TCP (quarantined)
5    [fd00:10:96::1]:443/TCP  ClusterIP (Remote)    1 => [fd00::2]:6443/TCP (active)
"""
SERVICES_WITHOUT_IDS = """\
Frontend             Service Type   Backend
10.96.0.1:443/TCP    ClusterIP      1 => 172.18.0.2:6443/TCP (active)
10.96.0.10:53/UDP    ClusterIP
"""
SERVICES_WEIGHTED = """\
ID   Frontend         Backend
1    10.96.0.1:443    1 => 172.18.0.2:6443 (W: 5)
"""
NAT = """\
TCP OUT 10.0.0.9:41000 -> 192.0.2.1:443 XLATE_SRC 172.18.0.2:61000 Created=155sec ago NeedsCT=1
TCP IN 192.0.2.1:443 -> 172.18.0.2:61000 XLATE_DST 10.0.0.9:41000 Created=155sec ago NeedsCT=1
"""
CT = """\
TCP IN 10.0.0.9:41000 -> 10.0.1.4:8080 expires=99 RxPackets=6 RxBytes=464 RxFlagsSeen=0x1b LastRxReport=50 TxPackets=4 \
TxBytes=371 TxFlagsSeen=0x13 LastTxReport=40 Flags=0x0013 [ RxClosing TxClosing SeenNonSyn ] RevNAT=0 \
SourceSecurityID=77 IfIndex=0
UDP OUT 10.0.1.4:40000 -> 10.0.0.7:53 expires=60 RxPackets=0 RxBytes=0 RxFlagsSeen=0x00 LastRxReport=0 TxPackets=1 \
TxBytes=71 TxFlagsSeen=0x00 LastTxReport=1 Flags=0x0000 [ ] RevNAT=4 SourceSecurityID=33511 IfIndex=0
TCP IN fd00::9:41000 -> fd00::4:8080 expires=99 RxPackets=6 RxBytes=464 RxFlagsSeen=0x1b LastRxReport=50 TxPackets=4 \
TxBytes=371 TxFlagsSeen=0x13 LastTxReport=40 Flags=0x0013 [ RxClosing TxClosing SeenNonSyn ] RevNAT=0 \
SourceSecurityID=77 IfIndex=0
"""
IPCACHE = """\
IP PREFIX/ADDRESS   IDENTITY
10.0.0.9/32         identity=33511 encryptkey=0 tunnelendpoint=172.18.0.2 flags=hastunnel
fd00::/64           identity=2 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>
"""
BPF_ENDPOINTS = """\
IP ADDRESS     LOCAL ENDPOINT INFO
10.0.1.4:0     id=25    sec_id=33511 flags=0x0000 ifindex=12  mac=4E:03:9F:4E:C1:30 nodemac=36:4D:F7:A2:B9:04
10.0.1.1:0     (localhost)
fd00::4:0      id=25    sec_id=33511 flags=0x0000 ifindex=12  mac=4E:03:9F:4E:C1:30 nodemac=36:4D:F7:A2:B9:04
"""
POLICY = """\
Endpoint ID: 25
Path: /sys/fs/bpf/tc/globals/cilium_policy_v2_00025

POLICY   DIRECTION   IDENTITY   PORT/PROTO      PROXY PORT   AUTH TYPE   BYTES   PACKETS   PREFIX
Allow    Ingress     0          8080-8095/TCP   NONE         disabled    500     5         20
Deny     Ingress     2          ANY             NONE         disabled    -       -         0
Allow    Egress      33511      53/UDP          36447        disabled    71      1         24
"""
ENDPOINTS = """\
ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS (source:key[=value])   IPv6       IPv4       STATUS
           ENFORCEMENT        ENFORCEMENT
25         Enabled            Disabled          33511      k8s:app=echo                  fd00::4    10.0.1.4   ready
                                                           k8s:io.kubernetes.pod.namespace=shop
7          Disabled (Audit)   Disabled          1          reserved:host                                       ready
"""
IDENTITIES = """\
ID      LABELS
1       reserved:host
7       reserved:kube-apiserver
        reserved:remote-node
33511   k8s:app=echo
"""
NODES = """\
Name            IPv4 Address   Endpoint CIDR   IPv6 Address   Endpoint CIDR   Source
kind/worker     172.18.0.2     10.0.0.0/24     fc00::2        fd00::/64       custom-resource
kind/worker2    172.18.0.3     10.0.1.0/24     <nil>                          local
"""
STATUS_VERBOSE = """\
KVStore:                Disabled
Kubernetes:             Ok         1.29 (v1.29.2) [linux/amd64]
Kubernetes APIs:        ["EndpointSliceOrEndpoint", "cilium/v2::CiliumNode"]
KubeProxyReplacement:   False   [eth0   172.18.0.3]
Cilium:                 Ok   1.16.5 (v1.16.5-ad688277)
NodeMonitor:            Listening for events on 8 CPUs with 64x4096 of shared memory
                        3 events lost, 0 unknown notifications
IPAM:                   IPv4: 4/254 allocated from 10.0.1.0/24, IPv6: 4/18446744073709551614 allocated from fd00:10:244:1::/64
Allocated addresses:
  10.0.1.1 (router)
  10.0.1.4 (shop/echo-7f5d [restored])
  10.0.1.9 (health)
ClusterMesh:            1/1 clusters ready, 0 global-services
   east: ready, 2 nodes, 4 endpoints, 3 identities, 0 services, 0 failures (last: never)
   \u2514  etcd: 1/1 connected
Routing:                Network: Tunnel [vxlan]   Host: Legacy
Masquerading:           IPTables [IPv4: Enabled, IPv6: Enabled]
Controller Status:      2/2 healthy
  Name                                  Last success   Last error   Count   Message
  cilium-health-ep                      35s ago        never        0       no error
  dns-garbage-collector-job             5s ago         never        0       no error
Proxy Status:           OK, ip 10.0.1.1, 0 redirects active on ports 10000-20000, Envoy: external
Global Identity Range:  min 256, max 65535
KubeProxyReplacement Details:
  Status:               False
  Socket LB:            Disabled
  - ClusterIP:          Enabled
BPF Maps:   dynamic sizing: on (ratio: 0.002500)
  Name                          Size
  Auth                          524288
Encryption:   Disabled
Cluster health:   2/2 reachable    (2024-05-01T10:00:00Z)
Name              IP           Node   Endpoints
  kind-worker2 (localhost):
    Host connectivity to 172.18.0.3:
      ICMP to stack:   OK, RTT=100\u00b5s
      HTTP to agent:   OK, RTT=200\u00b5s
  kind-worker:
    Host connectivity to 172.18.0.2:
      ICMP to stack:   OK, RTT=100\u00b5s
      HTTP to agent:   OK, RTT=200\u00b5s
Modules Health:
agent
\u251c\u2500\u2500 controlplane
\u2502   \u2514\u2500\u2500 endpoint-manager [OK] running
"""

DEBUGINFO = (Path(__file__).parent / "crafted_debuginfo.md").read_text()


def _network(port: int) -> int:
    return (port & 0xFF) << 8 | port >> 8


def _octets(address: str) -> list[int]:
    if ":" not in address:
        return [int(part) for part in address.split(".")]
    from ipaddress import IPv6Address

    return list(IPv6Address(address).packed)


def _key(source: str, source_port: int, destination: str, destination_port: int, protocol: int, flags: int) -> dict[str, Any]:
    return {
        "DestAddr": _octets(destination), "SourceAddr": _octets(source), "SourcePort": _network(source_port),
        "DestPort": _network(destination_port), "NextHeader": protocol, "Flags": flags,
    }  # fmt: skip


def _ct_value(
    rx: tuple[int, int, int, int], tx: tuple[int, int, int, int], expires: int, flags: int, *more: int
) -> dict[str, int]:
    return {
        "RxPackets": rx[0], "RxBytes": rx[1], "TxPackets": tx[0], "TxBytes": tx[1], "Lifetime": expires, "Flags": flags,
        "RevNAT": _network(more[0]), "IfIndex": 0, "TxFlagsSeen": tx[2], "RxFlagsSeen": rx[2], "SourceSecurityID": more[1],
        "LastTxReport": tx[3], "LastRxReport": rx[3],
    }  # fmt: skip


_BOTH = (6, 464, 0x1B, 50), (4, 371, 0x13, 40), 99, 0x13, 0, 77
CT_JSON = [
    {"Key": _key("10.0.1.4", 41000, "10.0.0.9", 8080, 6, 1), "Value": _ct_value(*_BOTH)},
    {"Key": _key("10.0.0.7", 40000, "10.0.1.4", 53, 17, 0), "Value": _ct_value((0, 0, 0, 0), (1, 71, 0, 1), 60, 0, 4, 33511)},
    {"Key": _key("fd00::4", 41000, "fd00::9", 8080, 6, 1), "Value": _ct_value(*_BOTH)},
]
NAT_JSON = [
    {"Key": _key("10.0.0.9", 41000, "192.0.2.1", 443, 6, 0),
     "Value": {"Created": 155, "NeedsCT": 1, "Pad1": 0, "Pad2": 0, "Addr": _octets("172.18.0.2"), "Port": _network(61000)}},
    {"Key": _key("192.0.2.1", 443, "172.18.0.2", 61000, 6, 1),
     "Value": {"Created": 155, "NeedsCT": 1, "Pad1": 0, "Pad2": 0, "Addr": _octets("10.0.0.9"), "Port": _network(41000)}},
]  # fmt: skip
POLICY_JSON = [
    {
        "EndpointID": "25",
        "Path": "/sys/fs/bpf/tc/globals/cilium_policy_v2_00025",
        "Content": [
            {"ProxyPortNetworkOrder": 0, "Flags": 0, "AuthRequirement": 0, "Packets": 5, "Bytes": 500,
             "Key": {"Prefixlen": 60, "Identity": 0, "TrafficDirection": 0, "Nexthdr": 6, "DestPortNetwork": _network(8080)}},
            {"ProxyPortNetworkOrder": 0, "Flags": 1, "AuthRequirement": 0, "Packets": 2**64 - 1, "Bytes": 2**64 - 1,
             "Key": {"Prefixlen": 40, "Identity": 2, "TrafficDirection": 0, "Nexthdr": 0, "DestPortNetwork": 0}},
            {"ProxyPortNetworkOrder": _network(36447), "Flags": 0, "AuthRequirement": 0, "Packets": 1, "Bytes": 71,
             "Key": {"Prefixlen": 64, "Identity": 33511, "TrafficDirection": 1, "Nexthdr": 17, "DestPortNetwork": _network(53)}},
        ],
    }
]  # fmt: skip
ENDPOINTS_JSON = [
    {
        "id": 25,
        "spec": {"label-configuration": {}, "options": {"ConntrackAccounting": "Disabled"}},
        "status": {
            "controllers": [{"name": "resolve-identity-25"}],
            "external-identifiers": {"container-id": "c0ffee", "k8s-namespace": "shop", "k8s-pod-name": "echo-7f5d"},
            "identity": {"id": 33511, "labels": ["k8s:app=echo", "k8s:io.kubernetes.pod.namespace=shop"], "labelsSHA256": "x"},
            "networking": {"addressing": [{"ipv4": "10.0.1.4", "ipv6": "fd00::4"}], "mac": "4e:03:9f:4e:c1:30"},
            "policy": {"realized": {"id": 33511, "policy-enabled": "ingress"}},
            "state": "ready",
        },
    },
    {
        "id": 7,
        "spec": {},
        "status": {
            "identity": {"id": 1, "labels": ["reserved:host"]},
            "networking": {"addressing": [{}]},
            "policy": {"realized": {"policy-enabled": "audit-ingress"}},
            "state": "ready",
        },
    },
]
NODES_JSON = [
    {
        "health-endpoint-address": {"ipv4": {}, "ipv6": {}},
        "name": "kind/worker",
        "primary-address": {
            "ipv4": {"address-type": "InternalIP", "alloc-range": "10.0.0.0/24", "enabled": True, "ip": "172.18.0.2"},
            "ipv6": {"alloc-range": "fd00::/64", "enabled": True, "ip": "fc00::2"},
        },
        "source": "custom-resource",
    },
    {
        "name": "kind/worker2",
        "primary-address": {"ipv4": {"alloc-range": "10.0.1.0/24", "enabled": True, "ip": "172.18.0.3"}, "ipv6": {}},
        "source": "local",
    },
]


def _realized(id_: int, ip: str, port: int, protocol: str, kind: str, backends: list[Any], scope: str = "external") -> Any:
    flags = {"type": kind, "name": "web", "namespace": "shop"} | ({"cluster": "east"} if id_ == 5 else {})
    spec = {"flags": flags, "id": id_}
    frontend = {"ip": ip, "port": port, "protocol": protocol, "scope": scope}
    rows = [{"ip": at, "port": its, "protocol": "TCP", "state": state, "preferred": first} for at, its, state, first in backends]
    return {
        "spec": spec,
        "status": {"realized": {"backend-addresses": rows, "flags": flags, "frontend-address": frontend, "id": id_}},
    }


SERVICES_JSON = [
    _realized(1, "10.96.0.1", 443, "TCP", "ClusterIP", [("172.18.0.2", 6443, "active", False)]),
    _realized(2, "10.96.0.10", 53, "UDP", "ClusterIP", []),
    _realized(
        3, "0.0.0.0", 30080, "TCP", "NodePort", [("10.0.0.9", 8080, "terminating", False), ("10.0.1.9", 8080, "active", True)]
    ),
    _realized(4, "0.0.0.0", 30080, "TCP", "NodePort", [("10.0.0.9", 8080, "quarantined", False)], "internal"),
    _realized(5, "fd00:10:96::1", 443, "TCP", "ClusterIP", [("fd00::2", 6443, "active", False)]),
]
HEALTH_JSON = {
    "local": {"name": "kind-worker2"},
    "nodes": [
        {
            "health-endpoint": {
                "primary-address": {
                    "http": {"latency": 200, "status": ""},
                    "icmp": {"latency": 100, "status": ""},
                    "ip": "10.0.1.9",
                }
            },
            "host": {
                "primary-address": {"http": {"latency": 200}, "icmp": {"latency": 100}, "ip": "172.18.0.3"},
                "secondary-addresses": [{"http": {"latency": 1}, "icmp": {"status": "Connection timed out"}, "ip": "fc00::3"}],
            },
            "name": "kind-worker2",
        },
        {
            "endpoint": {"icmp": {"status": "Connection timed out"}, "ip": "10.0.0.3"},
            "host": {"primary-address": None},
            "name": "kind-worker",
        },
    ],
    "probeInterval": "1m36.5s",
    "timestamp": "2024-05-01T10:00:00Z",
}
STATUS_JSON = {
    "attach-mode": {"mode": "tcx"},
    "cilium": {"msg": "1.18.7 (v1.18.7-2adae214)", "state": "Ok"},
    "cluster": {"ciliumHealth": {"state": "Ok"}, "self": "kind/worker2"},
    "kubernetes": {"k8s-api-versions": ["core/v1::Pods"], "msg": "1.34", "state": "Ok"},
}


def listing(text: str) -> dict[str, list[str]]:
    """The `-o json` of a table of two columns: keys, and the rest of their rows."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines()[1:]:
        key, _, value = line.partition("  ")
        rows.setdefault(key, []).append(value.strip())
    return rows


EGRESS = """\
Source IP      Destination CIDR   Egress IP       Gateway IP
10.0.0.9       203.0.113.0/24     192.0.2.7       172.18.0.3
10.0.0.9       203.0.113.8/32     0.0.0.0         Not Found
10.0.0.9       198.51.100.0/24    0.0.0.0         Excluded CIDR
"""
IPMASQ = """\
IP PREFIX/ADDRESS
10.0.0.0/8
fd00::/8
"""
NODE_IDS = """\
NODE ID   IP ADDRESSES   SPI
0xa1b2    172.18.0.3     3
0x7       fd00::3        0
"""
SRV6 = """\
Inner Source   Inner Destination   Outer Source   Outer Destination
10.0.0.9       203.0.113.8         fd00::1        fd00::2
"""
OTHERS = """\
$ cilium-dbg bpf auth list
SRC IDENTITY   DST IDENTITY   REMOTE NODE ID   AUTH TYPE   EXPIRATION
33511          4711           41394            spire       2024-05-01 10:00:00 +0000 UTC
$ cilium bpf bandwidth list
IDENTITY   DIRECTION   PRIO   BANDWIDTH (BitsPerSec)
725        Egress      0      10M
$ cilium bpf recorder list
10.0.0.0/8:0 -> 10.1.0.0/16:80 TCP ID:1 CapLen:100
$ cilium bpf sha list
Datapath SHA                               Endpoint(s)
0a1b2c3d4e5f60718293a4b5c6d7e8f901234567   725
                                           1437
$ cilium-dbg bpf vtep list
IP PREFIX/ADDRESS   VTEP
10.1.5.0            vtepmac=82:36:4c:98:2e:56 tunnelendpoint=10.169.72.236
$ cilium-dbg bpf srv6 vrf
Source IP   Destination CIDR   VRF ID
10.0.0.9    203.0.113.0/24     1
$ cilium-dbg bpf multicast group list
Group Address
229.0.0.1
$ cilium-dbg statedb devices
Name   Index   Selected   Type     MTU    HWAddr              Flags                    Addresses
eth0   12      true       device   1500   02:42:ac:12:00:02   up|broadcast|multicast   172.18.0.2
"""

TWINS: dict[str, tuple[str, Any]] = {
    "ct": (CT, CT_JSON),
    "nat": (NAT, NAT_JSON),
    "policy_map": (POLICY, POLICY_JSON),
    "endpoints": (ENDPOINTS, ENDPOINTS_JSON),
    "identities": (IDENTITIES, [
        {"id": 1, "labels": ["reserved:host"], "labelsSHA256": ""},
        {"id": 7, "labels": ["reserved:kube-apiserver", "reserved:remote-node"], "labelsSHA256": ""},
        {"id": 33511, "labels": ["k8s:app=echo"]},
    ]),
    "nodes": (NODES, NODES_JSON),
    "services": (SERVICES, SERVICES_JSON),
    "ipcache": (IPCACHE, listing(IPCACHE)),
    "bpf_endpoints": (BPF_ENDPOINTS, listing(BPF_ENDPOINTS)),
    "tunnel": (TUNNELS, listing(TUNNELS)),
    "lb": (LB_SLOTS, listing(LB_SLOTS)),
    "fqdn_cache": (FQDN, [
        {"endpoint-id": 725, "expiration-time": "2021-09-09T21:34:13.051Z", "fqdn": "example.com.", "ips": ["93.184.216.34"],
         "lookup-time": "2021-09-09T20:34:13.051Z", "source": "lookup", "ttl": 3600},
        {"endpoint-id": 725, "expiration-time": "2021-09-09T21:34:13.051Z", "fqdn": "cdn.example.net",
         "ips": ["192.0.2.1", "2001:db8::1"], "source": "connection", "ttl": 0},
    ]),
    "ip_list": (IP_LIST_VERBOSE, [
        {"cidr": "10.0.0.9/32", "encryptKey": 0, "hostIP": "172.18.0.2", "identity": 33511,
         "metadata": {"name": "echo-7f5d", "namespace": "shop", "source": "custom-resource"}},
        {"cidr": "fd00::9/128", "encryptKey": 3, "hostIP": "172.18.0.2", "identity": 33511,
         "metadata": {"source": "custom-resource"}},
    ]),
    "metrics": (METRICS, [
        {"reason": "Interface", "direction": "ingress", "packets": 2170, "bytes": 1006934, "line": 1142, "file": "bpf_host.c"},
        {"reason": "Policy denied", "direction": "ingress", "packets": 12, "bytes": 888, "line": 2053, "file": "bpf_lxc.c"},
        {"reason": "Policy denied by denylist", "direction": "egress", "packets": 3, "bytes": 222, "line": 1274,
         "file": "bpf_lxc.c"},
        {"reason": "Success", "direction": "service", "packets": 4, "bytes": 400, "line": 91, "file": "lb.h"},
    ]),
    "egress": (EGRESS, [
        {"SourceIP": "10.0.0.9", "DestCIDR": "203.0.113.0/24", "EgressIP": "192.0.2.7", "GatewayIP": "172.18.0.3"},
        {"SourceIP": "10.0.0.9", "DestCIDR": "203.0.113.8/32", "EgressIP": "0.0.0.0", "GatewayIP": "Not Found"},
        {"SourceIP": "10.0.0.9", "DestCIDR": "198.51.100.0/24", "EgressIP": "0.0.0.0", "GatewayIP": "0.0.0.1"},
    ]),
    "ipmasq": (IPMASQ, [
        {"IP": "10.0.0.0", "Mask": "/wAAAA=="}, {"IP": "fd00::", "Mask": "/wAAAAAAAAAAAAAAAAAAAA=="},
    ]),
    "node_ids": (NODE_IDS, [
        {"ID": 41394, "Address": "172.18.0.3", "SPI": 3}, {"ID": 7, "Address": "fd00::3", "SPI": 0},
    ]),
    "map": (MAP, {"path": "/sys/fs/bpf/tc/globals/cilium_lb4_services_v2", "cache": [
        {"key": "10.96.0.10:53/UDP (0)", "value": "0 2[0] (4) [0x0 0x0]", "desired-action": "sync"},
        {"key": "10.96.0.10:53/UDP (1)", "value": "7 0[0] (4) [0x0 0x0]", "desired-action": "sync"},
        {"key": "10.96.0.10:53/UDP (2)", "value": "8 0[0] (4) [0x0 0x0]", "desired-action": "insert",
         "last-error": "operation not permitted"},
    ]}),
}  # fmt: skip
"""Of each kind the table, and the same as JSON."""

TEXTS: dict[str, tuple[str, str, int]] = {
    "ip-list": ("ip_list", IP_LIST, 4), "tunnel": ("tunnel", TUNNELS, 2), "fqdn": ("fqdn_cache", FQDN, 2),
    "fqdn-old": ("fqdn_cache", FQDN_OLD, 1), "map": ("map", MAP, 3), "map-list": ("map_list", MAP_LIST, 3),
    "metrics": ("metrics", METRICS, 4), "lb-slots": ("lb", LB_SLOTS, 8), "lb-frontends": ("lb", LB_FRONTENDS, 3),
    "lb-backends": ("lb", LB_BACKENDS, 3), "lb-revnat": ("lb", LB_REVNAT, 2), "lb-ranges": ("lb", LB_RANGES, 2),
    "services": ("services", SERVICES, 5), "services-no-id": ("services", SERVICES_WITHOUT_IDS, 2),
    "services-weighted": ("services", SERVICES_WEIGHTED, 1), "nat": ("nat", NAT, 2), "ct": ("ct", CT, 3),
    "ipcache": ("ipcache", IPCACHE, 2), "bpf-endpoints": ("bpf_endpoints", BPF_ENDPOINTS, 3),
    "policy": ("policy_map", POLICY, 3), "endpoints": ("endpoints", ENDPOINTS, 2), "identities": ("identities", IDENTITIES, 3),
    "egress": ("egress", EGRESS, 3), "ipmasq": ("ipmasq", IPMASQ, 2), "node-ids": ("node_ids", NODE_IDS, 2),
    "srv6": ("others", SRV6, 1),
    "nodes": ("nodes", NODES, 2), "status": ("status", STATUS_VERBOSE, 18),
}  # fmt: skip
"""Kind, text and number of entries of dumps as they are printed."""

JSON_TEXTS: dict[str, str] = {
    **{f"{kind}.json": json.dumps(value, indent=2) for kind, (_, value) in TWINS.items()},
    "health.json": json.dumps(HEALTH_JSON, indent=2),
    "status.json": json.dumps(STATUS_JSON, indent=1),
}
