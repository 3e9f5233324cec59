"""HTTP/2 for tests, written by hyperframe and hpack: frames of one direction, one after the other."""

from collections.abc import Iterable

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Fields = Iterable[tuple[str, str]]


class Speaker:
    """One side of a connection: what it says is what its methods return."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def headers(self, stream: int, fields: Fields, *, end: bool = False, cut: int | None = None, priority: bool = False) -> bytes:
        """A HEADERS frame; with `cut` so many octets of its block, the others in a CONTINUATION frame."""
        block = self._encoder.encode(list(fields))
        flags = ["END_STREAM"] * end + ["END_HEADERS"] * (cut is None) + ["PRIORITY"] * priority
        first = HeadersFrame(stream, data=block[:cut], flags=flags)
        if cut is None:
            return bytes(first.serialize())
        return bytes(first.serialize() + ContinuationFrame(stream, data=block[cut:], flags=["END_HEADERS"]).serialize())

    def request(self, stream: int, path: str, *, grpc: bool = False, end: bool = True, **more: str) -> bytes:
        """The HEADERS frame of a request."""
        fields = [(":method", "POST" if grpc else "GET"), (":scheme", "http"), (":path", path), (":authority", "shop")]
        fields += [("content-type", "application/grpc")] if grpc else []
        return self.headers(stream, [*fields, *((name.replace("_", "-"), value) for name, value in more.items())], end=end)


def serialized(*frames: Frame) -> bytes:
    """The octets of frames."""
    return b"".join(frame.serialize() for frame in frames)


def data(stream: int, octets: bytes, *, end: bool = False) -> bytes:
    """A DATA frame."""
    return serialized(DataFrame(stream, data=octets, flags=["END_STREAM"] * end))


def settings(*, ack: bool = False) -> bytes:
    """A SETTINGS frame."""
    return serialized(SettingsFrame(0, flags=["ACK"] * ack))


def noise() -> bytes:
    """Frames of the connection itself."""
    return serialized(PingFrame(0, opaque_data=b"12345678"), WindowUpdateFrame(0, window_increment=99))


def reset(stream: int) -> bytes:
    """A RST_STREAM frame."""
    return serialized(RstStreamFrame(stream, error_code=7))
