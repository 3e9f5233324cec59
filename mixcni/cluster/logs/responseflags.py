"""Envoy's response flags and what they mean (Envoy, access logging, %RESPONSE_FLAGS% and %RESPONSE_FLAGS_LONG%)."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class ResponseFlag(NamedTuple):
    """One flag."""

    long: str
    """As %RESPONSE_FLAGS_LONG% prints it."""
    means: str


FLAGS: Final[Mapping[str, ResponseFlag]] = MappingProxyType({
    "LH": ResponseFlag("FailedLocalHealthCheck", "the local service failed its health check"),
    "UH": ResponseFlag("NoHealthyUpstream", "the upstream cluster had no healthy host"),
    "UT": ResponseFlag("UpstreamRequestTimeout", "the upstream did not answer in time"),
    "LR": ResponseFlag("LocalReset", "the connection was reset locally"),
    "UR": ResponseFlag("UpstreamRemoteReset", "the upstream reset the stream"),
    "UF": ResponseFlag("UpstreamConnectionFailure", "the connection to the upstream could not be made"),
    "UC": ResponseFlag("UpstreamConnectionTermination", "the connection to the upstream ended before the response"),
    "UO": ResponseFlag("UpstreamOverflow", "a circuit breaker was open"),
    "URX": ResponseFlag("UpstreamRetryLimitExceeded", "all retries, or attempts to connect, were used up"),
    "NR": ResponseFlag("NoRouteFound", "no route or filter chain matched"),
    "NC": ResponseFlag("NoClusterFound", "the upstream cluster does not exist"),
    "NFCF": ResponseFlag("NoFilterConfigFound", "the configuration of a filter had not arrived"),
    "DI": ResponseFlag("DelayInjected", "a fault was injected: a delay"),
    "FI": ResponseFlag("FaultInjected", "a fault was injected: an abort"),
    "RL": ResponseFlag("RateLimited", "the request was rate limited"),
    "RLSE": ResponseFlag("RateLimitServiceError", "the rate limit service failed"),
    "UAEX": ResponseFlag("UnauthorizedExternalService", "the external authorization service denied it"),
    "DC": ResponseFlag("DownstreamConnectionTermination", "the client closed its connection"),
    "DR": ResponseFlag("DownstreamRemoteReset", "the client reset the stream"),
    "SI": ResponseFlag("StreamIdleTimeout", "the stream was idle for too long"),
    "IH": ResponseFlag("InvalidEnvoyRequestHeaders", "a header that Envoy checks strictly was wrong"),
    "DPE": ResponseFlag("DownstreamProtocolError", "the request broke HTTP"),
    "UPE": ResponseFlag("UpstreamProtocolError", "the response broke HTTP"),
    "UMSDR": ResponseFlag("UpstreamMaxStreamDurationReached", "the upstream stream lasted longer than allowed"),
    "RFCF": ResponseFlag("ResponseFromCacheFilter", "the response came from a cache"),
    "DT": ResponseFlag("DurationTimeout", "the request or connection lasted longer than allowed"),
    "OM": ResponseFlag("OverloadManagerTerminated", "the overload manager ended it"),
    "DF": ResponseFlag("DnsResolutionFailed", "the upstream's name could not be resolved"),
    "DO": ResponseFlag("DropOverload", "load was shed, as the cluster's configuration asks"),
    "UDO": ResponseFlag("UnconditionalDropOverload", "all load was shed, as the cluster's configuration asks"),
})  # fmt: skip
"""In the short form."""

UPSTREAM_UNREACHED: Final = frozenset({"UF", "URX", "UH", "UT", "UC", "UR", "LR"})
"""Flags of trouble between Envoy and its upstream: what lost packets there look like from above."""

_SHORT_OF_LONG: Final = {flag.long.lower(): short for short, flag in FLAGS.items()}
_WORDS = re.compile(r"[A-Za-z_]{2,40}(?:,[A-Za-z_]{2,40}){0,20}")


def parse_flags(text: str) -> tuple[str, ...] | None:
    """The short flags that `UF,URX` or their long names are; () for `-`; None if the text is something else."""
    if text in ("-", ""):
        return ()
    if not _WORDS.fullmatch(text):
        return None
    found = tuple(word if word in FLAGS else _SHORT_OF_LONG.get(word.replace("_", "").lower(), "") for word in text.split(","))
    return found if all(found) else None


def meaning(flags: tuple[str, ...]) -> str:
    """What some flags mean, in a sentence's half."""
    return "; ".join(FLAGS[flag].means for flag in flags if flag in FLAGS)
