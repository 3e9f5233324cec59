"""The script that collects a case: captures at each point, dumps of each agent, and the case.toml that says what they are."""

from mixcni.collection.plan import Plan, Pod, cilium_nodes_of, pod_of, read_plan, read_pods
from mixcni.collection.script import collection_script

__all__ = ["Plan", "Pod", "cilium_nodes_of", "collection_script", "pod_of", "read_plan", "read_pods"]
