"""The responder's own doing: requests that arrived and were answered by nothing, or by a refusal."""

from collections.abc import Iterable

import numpy as np

from mixcni.explain.findings import Finding
from mixcni.explain.icmp_rejected import refused_by_others
from mixcni.explain.middlebox_reset import UNCONFIRMED, look_foreign, refused_by_reset
from mixcni.explain.suspects import Facts, attempts_at, pairs_of, shown_by
from mixcni.schema import Fate, Reason
from mixcni.words import listed, plural

SERVER_SILENT, SERVER_REFUSED = "server_silent", "server_refused"
CONFIDENCE = 0.9  # the packets themselves show it; what is left is a capture that lacks the answer


def examine_far_end(facts: Facts, *, is_doubtful: bool = False) -> Iterable[Finding]:
    """A finding for silent servers and one for refusing ones, where there are any: neither is the network's loss.

    is_doubtful : something else explains the silence
    """
    localisation = facts.localisation
    fates = localisation.fates
    silent = np.flatnonzero(fates["fate"] == Fate.SILENT)
    refused = np.flatnonzero((fates["fate"] == Fate.REFUSED) & (fates["reason"] == Reason.BY_RESPONDER))
    refused = np.setdiff1d(refused, refused_by_others(facts))
    doubtful = {SERVER_SILENT: is_doubtful, SERVER_REFUSED: bool(look_foreign(facts, refused_by_reset(facts)))}
    last = len(localisation.points) - 1
    end = localisation.points[last].name
    for cause, rows, what, then in (
        (
            SERVER_SILENT,
            silent,
            f"arrived at {end}, the last point, and nothing came back",
            "look at the server, or capture nearer to it",
        ),
        (
            SERVER_REFUSED,
            refused,
            f"refused by the responder, as seen at {end}",
            "see whether it listens on that port, and why it resets",
        ),
    ):
        if not rows.size:
            continue
        pairs = pairs_of(localisation, rows)
        targets = sorted({f"{pair.responder} port {pair.port}" for pair in pairs})
        position = int(np.maximum(fates["last_seen"][rows].max(initial=0), 0))
        says = f"{plural(rows.size, 'request')} to {listed(targets)} {what}"
        yield Finding(
            cause=cause,
            confidence=UNCONFIRMED if doubtful[cause] else CONFIDENCE,
            sentence=f"{says}: not the network between the points",
            evidence=(shown_by(facts, says, position, attempts_at(localisation, rows, position)),),
            collect=(then,),
        )
