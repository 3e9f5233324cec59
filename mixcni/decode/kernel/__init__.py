"""Decoding frames into packet columns: one pass, every length checked once before the octets behind it are read.

Contract: each frame lies whole within `octets` (read/ sees to it). A header is read only where it was captured whole; what is
cut or cannot be is flagged in `oddity`, and never stops a decode. Every loop over headers is bounded.
"""

from mixcni.decode.kernel.frames import ADDRESSES_A_FRAME, STACKS_A_FRAME, decode_frames
from mixcni.decode.kernel.hints import hint_payloads
from mixcni.decode.kernel.spans import copy_spans

__all__ = ["ADDRESSES_A_FRAME", "STACKS_A_FRAME", "copy_spans", "decode_frames", "hint_payloads"]
