"""Stage 3, packets -> FlowTable: biflows by flow key, TCP connections by initial sequence number, segments by stream offset.

A flow is whole in one partition: packets split by flow key and tracked apart give the same flows.
"""

from mixcni.flows.errors import ErrorTable, attach_errors
from mixcni.flows.resets import ResetTable, judge_resets
from mixcni.flows.tables import FlowTable, SegmentTable
from mixcni.flows.tracking import track_flows

__all__ = [
    "ErrorTable",
    "FlowTable",
    "ResetTable",
    "SegmentTable",
    "attach_errors",
    "judge_resets",
    "track_flows",
]
