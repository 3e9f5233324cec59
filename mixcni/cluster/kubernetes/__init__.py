"""Kubernetes objects out of `kubectl get`: what the API server knew of pods, nodes, services and policies.

`read_kubernetes` takes a dump apart, `Inventory` answers whose address an address is. What Cilium made of it all stands
in other dumps; where both tell, the datapath's word counts.
"""

from mixcni.cluster.kubernetes.inventory import Inventory
from mixcni.cluster.kubernetes.objects import KubernetesObject
from mixcni.cluster.kubernetes.reading import objects_of, read_kubernetes, read_kubernetes_json

__all__ = ["Inventory", "KubernetesObject", "objects_of", "read_kubernetes", "read_kubernetes_json"]
