"""The values of columns that are flags or enumerations."""

from enum import IntEnum, IntFlag


class Layer(IntFlag):
    """Which headers of a packet were decoded whole; a column may be read only where its layer is present."""

    ETHERNET = 0x0001
    VLAN = 0x0002
    IPV4 = 0x0004
    IPV6 = 0x0008
    TCP = 0x0010
    UDP = 0x0020
    ICMP = 0x0040
    ICMPV6 = 0x0080
    ARP = 0x0100
    LATER_FRAGMENT = 0x0200
    QUOTE = 0x0400
    TUNNEL = 0x0800
    FRAGMENT = 0x1000
    OPAQUE = 0x2000


class Oddity(IntFlag):
    """What is strange about a packet (Zeek's weirds): counted and shown, never an exception."""

    HEADER_CUT = 0x0001
    PAYLOAD_CUT = 0x0002
    BAD_HEADER_LENGTH = 0x0004
    BAD_TOTAL_LENGTH = 0x0008
    LENGTH_ABSENT = 0x0010
    UNKNOWN_LINK_TYPE = 0x0020
    TOO_MANY_HEADERS = 0x0040
    OPTIONS_CUT = 0x0080
    BAD_OPTION = 0x0100
    FRAGMENTS_DIFFER = 0x0200


class Encapsulation(IntEnum):
    """What a layer of a packet's outer stack is."""

    VLAN = 1
    MPLS = 2
    PPPOE = 3
    IPIP = 4
    GRE = 5
    ERSPAN = 6
    VXLAN = 7
    GENEVE = 8
    GTPU = 9
    L2TP = 10
    TEREDO = 11
    MPLS_UDP = 12

    @property
    def is_tunnel(self) -> bool:
        """Whether it carries packets between two addresses of its own; tags and labels do not."""
        return self >= Encapsulation.IPIP


class OptionFlag(IntFlag):
    """Which TCP options that are no number a segment has; from MP_CAPABLE on those of MPTCP (RFC 8684 section 3)."""

    SACK_PERMITTED = 0x0001
    TIMESTAMPS = 0x0002
    MP_CAPABLE = 0x0010
    MP_JOIN = 0x0020
    DSS = 0x0040
    ADD_ADDR = 0x0080
    REMOVE_ADDR = 0x0100
    MP_PRIO = 0x0200
    MP_FAIL = 0x0400
    MP_FASTCLOSE = 0x0800


class TcpFlag(IntFlag):
    """Control bits of a TCP header (RFC 9293 section 3.1)."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


class Direction(IntEnum):
    """The two directions of a biflow (RFC 5103): forward is from initiator to responder."""

    FORWARD = 0
    REVERSE = 1


class Label(IntFlag):
    """What TCP analysis says of a segment, in Wireshark's words (tcp.analysis.*).

    As there, RETRANSMISSION stands beside FAST_RETRANSMISSION and SPURIOUS_RETRANSMISSION too.
    """

    RETRANSMISSION = 0x0001
    FAST_RETRANSMISSION = 0x0002
    SPURIOUS_RETRANSMISSION = 0x0004
    OUT_OF_ORDER = 0x0008
    DUPLICATE_ACK = 0x0010
    LOST_SEGMENT = 0x0020
    ACK_LOST_SEGMENT = 0x0040
    KEEP_ALIVE = 0x0080
    KEEP_ALIVE_ACK = 0x0100
    ZERO_WINDOW = 0x0200
    ZERO_WINDOW_PROBE = 0x0400
    ZERO_WINDOW_PROBE_ACK = 0x0800
    WINDOW_FULL = 0x1000
    WINDOW_UPDATE = 0x2000
    PORT_REUSED = 0x4000


class ConnState(IntEnum):
    """How a connection went, in Zeek's words (scripts/base/protocols/conn/main.zeek, conn_state)."""

    OTH = 0
    S0 = 1
    S1 = 2
    SF = 3
    REJ = 4
    S2 = 5
    S3 = 6
    RSTO = 7
    RSTR = 8
    RSTOS0 = 9
    RSTRH = 10
    SH = 11
    SHR = 12


class Completeness(IntFlag):
    """Which parts of a connection were captured: Wireshark's tcp.completeness."""

    SYN = 0x01
    SYNACK = 0x02
    ACK = 0x04
    DATA = 0x08
    FIN = 0x10
    RST = 0x20


class Hint(IntEnum):
    """What a payload begins like, by its first octets alone."""

    HTTP_REQUEST = 1
    HTTP_RESPONSE = 2
    HTTP2_PREFACE = 3
    HTTP2_FRAMES = 4
    TLS_RECORD = 5
    DNS_QUERY = 6
    TLS_CLIENT_HELLO = 7
    TLS_SERVER_HELLO = 8
    DNS_RESPONSE = 9


class Ending(IntEnum):
    """How a TCP connection ended, as far as it was heard."""

    NONE = 0
    HALF_CLOSED = 1
    CLOSED = 2
    RESET = 3


class ResetOrigin(IntEnum):
    """Who sent a reset, as far as it can be guessed from one point: the host whose address it has, or something on the way."""

    UNKNOWN = 0
    ENDPOINT = 1
    MIDDLEBOX = 2


class ResetReason(IntFlag):
    """What a guess of a reset's origin rests on: how the reset is like the other segments of its side, or unlike them."""

    SAME_TTL = 0x001
    OTHER_TTL = 0x002
    IP_ID_NEXT = 0x004
    IP_ID_FAR = 0x008
    WINDOW_OF_SIDE = 0x010
    SEQUENCE_DUE = 0x020
    SEQUENCE_BEYOND = 0x040
    SENT_ON = 0x080
    TOO_FAST = 0x100
    SEVERAL_SEQUENCES = 0x200
    SAME_MAC = 0x400
    OTHER_MAC = 0x800


class Fate(IntEnum):
    """What became of an exchange (DESIGN.md section 4)."""

    ANSWERED = 0
    LOST = 1
    REFUSED = 2
    SILENT = 3
    UNDECIDED = 4


class ExchangeKind(IntEnum):
    """How an exchange was told from the octets around it."""

    HANDSHAKE = 0
    TURN = 1
    HTTP1 = 2
    HTTP2 = 3
    GRPC = 4
    TLS_HANDSHAKE = 5
    TLS_RECORDS = 6
    DNS = 7
    ECHO = 8
    DATAGRAM = 9


class Reason(IntEnum):
    """Why an exchange is undecided, or who refused it."""

    NONE = 0
    NO_WINDOW = 1
    CAPTURE_ENDED = 2
    ON_THE_WAY = 3
    MISS_RATE = 4
    NOT_SEEN_WHOLE = 5
    BY_RESPONDER = 6
    BY_RESET = 7
    BY_ICMP = 8
    NOT_PLACED = 9


class ProxyLink(IntEnum):
    """By what a request that a proxy took is linked with one that it sent, the surest first."""

    REQUEST_ID = 0
    TRACE = 1
    NESTING = 2
    ATTEMPT = 3


class Evidence(IntFlag):
    """On what it rests that flows of several points are one conversation."""

    KEY = 0x01
    ISS = 0x02
    IRS = 0x04
    TIMESTAMPS = 0x08
    NUMBERS = 0x10
    TIME = 0x20
    TABLE = 0x40
    PAYLOAD = 0x80


class Sight(IntEnum):
    """What one capture point can say of a conversation: unknown is not no."""

    SEEN = 0
    MISSING = 1
    UNOBSERVABLE = 2
