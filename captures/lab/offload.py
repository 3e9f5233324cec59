"""Turn checksum offload off inside a namespace: `offload.py INTERFACE ...`, in place of `ethtool -K INTERFACE tx off`.

A veth never computes the TCP checksums that it promises to compute, for its peer trusts it. On a wire they are right,
so without this the captures at every point would hold checksums that no real uplink shows.
"""

import array
import fcntl
import socket
import struct
import sys
from typing import Final

# linux/sockios.h and linux/ethtool.h
SIOCETHTOOL: Final = 0x8946
ETHTOOL_STXCSUM: Final = 0x17
INTERFACE_REQUEST: Final = struct.Struct("16sP16x")


def compute_checksums_in_software(interface: str) -> None:
    """Make the kernel fill in each TCP checksum before the interface, and tcpdump on it, gets the packet."""
    value = array.array("I", (ETHTOOL_STXCSUM, 0))
    address, _ = value.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, INTERFACE_REQUEST.pack(interface.encode(), address))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compute_checksums_in_software(name)
