"""Captures and dumps that can be given away: addresses and names replaced, payload removed, the diagnosis the same.

Addresses keep their prefixes in common, so that pod CIDRs, ipcache prefixes and routes mean what they meant; a key decides which
address becomes which, and the same key gives the same addresses in another case. What is not understood is not kept: frames are
built anew from the headers that are known, dumps from the lines that were read.

Prefix-preserving maps can be attacked by who knows some of the traffic (Brekne, Årnes and Øslebø 2005), and ports, times and
lengths stay, and so do the words of a command's error message: look at what was written, and give it to people who are trusted
with it, not to everybody.
"""

from mixcni.anonymise.anonymiser import Anonymiser
from mixcni.anonymise.share import share_case

__all__ = ["Anonymiser", "share_case"]
