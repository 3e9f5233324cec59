"""Stage 5, all points -> conversations on one clock: the same connection wherever it was seen.

Flows are joined by flow key and initial sequence number; clocks by segments that two points saw.
"""

from mixcni.align.alignment import Alignment, align_points
from mixcni.align.path import INITIAL_TTLS, PathOrder, first_hop_limit, infer_order

__all__ = ["INITIAL_TTLS", "Alignment", "PathOrder", "align_points", "first_hop_limit", "infer_order"]
