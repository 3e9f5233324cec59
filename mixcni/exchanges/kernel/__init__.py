"""The kernels of this stage: plain loops over arrays, each with a contract that its caller keeps."""

from mixcni.exchanges.kernel.heads import HEAD_FIELDS
from mixcni.exchanges.kernel.http1 import ODD, pair_whole
from mixcni.exchanges.kernel.texts import code_spans
from mixcni.exchanges.kernel.turns import split_turns

__all__ = ["HEAD_FIELDS", "ODD", "code_spans", "pair_whole", "split_turns"]
