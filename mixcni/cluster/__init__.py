"""Dumps of Cilium's state -> ClusterState: what the cluster's nodes knew and what their policies let through.

`read_dumps` takes whatever people copied off their terminals and says what it understood of it; `ClusterState` answers
whose address an address is, which identity Cilium gives it, and what a policy map does with it.
"""

from mixcni.cluster.loading import read_dumps
from mixcni.cluster.state import ClusterState

__all__ = ["ClusterState", "read_dumps"]
