"""Stage 1, capture files -> frames: pcap and pcapng, plain or packed, with a damage report per file.

Nothing is allocated by a length that a file states before that length is held against a named limit; a frame that is
handed on lies whole within its buffer.
"""

from mixcni.read.capture_file import CaptureFile
from mixcni.read.frames import Comment, Damage, FrameBlock
from mixcni.read.sniff import is_capture
from mixcni.read.source import STANDARD_INPUT

__all__ = ["STANDARD_INPUT", "CaptureFile", "Comment", "Damage", "FrameBlock", "is_capture"]
