"""Stage 1, capture files -> frames: pcap and pcapng, plain or gzip, with a damage report per file.

Nothing is allocated by a length that a file states before that length is held against a named limit; a frame that is
handed on lies whole within its buffer.
"""

from mixcni.read.capture_file import CaptureFile
from mixcni.read.frames import Damage, FrameBlock
from mixcni.read.sniff import is_capture

__all__ = ["CaptureFile", "Damage", "FrameBlock", "is_capture"]
