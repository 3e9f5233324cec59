"""The result of a diagnosis: the verdict, tables for a notebook, and every other form of the same facts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mixcni.errors import ParameterError
from mixcni.explain import Finding, WhatIf, what_if
from mixcni.localise import Localisation, ProxiedTable, link_proxied
from mixcni.report.columns import CONVERSATIONS, EXCHANGES, FINDINGS, HOPS, MESSAGE, POINTS, PROXIED, documented
from mixcni.report.contract import report_object
from mixcni.report.conversation import Conversation
from mixcni.report.evidence import save_evidence
from mixcni.report.html import postmortem_html, report_html
from mixcni.report.inputs import InputFile
from mixcni.report.markdown import postmortem_markdown
from mixcni.report.pathgraph import path_graph
from mixcni.report.proxied import proxied_rows
from mixcni.report.sources import FrameIndex
from mixcni.report.summary import Summary, summarise
from mixcni.report.tables import exchange_rows, hop_rows, point_rows
from mixcni.report.text import print_report, report_text
from mixcni.report.worst import worst_conversations

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from rich.console import Console

    from mixcni.cluster import ClusterState
    from mixcni.explain.what_if import PolicyText
    from mixcni.report.figures import Drawing
    from mixcni.topology import Network

WIDEST: Final = 120  # columns; longer lines of prose are hard to follow


@dataclass(frozen=True)
class Report:
    """What a diagnosis found. `print(report)` and a notebook cell show it; the DataFrames have all of it.

    Examples
    --------
    >>> report = mixcni.diagnose(mixcni.open_case("captures/networkpolicy-drop"))
    >>> report.verdict, report.losses[0]["hop"]
    ('loss', ['B', 'C'])
    """

    title: str
    localisation: Localisation = field(repr=False)
    findings_found: tuple[Finding, ...] = field(repr=False)
    cluster: "ClusterState" = field(repr=False)
    inputs: tuple[InputFile, ...] = field(repr=False)
    assumptions: tuple[str, ...] = field(repr=False)
    scenario: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pod_cidrs: Mapping[str, "Network"] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> str:
        """`loss`, `no_loss` or `undecided`."""
        return str(self.localisation.verdict)

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        return self.summary.headline

    @cached_property
    def summary(self) -> Summary:
        """The facts that every form of the report shows."""
        return summarise(self)

    def name_of(self, path: Path) -> str:
        """A file as the report names it."""
        return next((entry.file for entry in self.inputs if entry.path == path), path.as_posix())

    @cached_property
    def frames(self) -> FrameIndex:
        """Finds the frames of an exchange."""
        return FrameIndex(self.localisation)

    @cached_property
    def proxy_links(self) -> ProxiedTable:
        """Which requests a proxy sent for which that it took, as rows of the fate table."""
        return link_proxied(self.localisation)

    @property
    def losses(self) -> list[dict[str, Any]]:
        """The losses as the JSON contract has them, the main one first."""
        return list(self.to_dict()["losses"])

    @cached_property
    def points(self) -> "pd.DataFrame":
        """One row a capture point in path order: what was asked and answered there, and how far it can be trusted."""
        import pandas as pd

        frame = pd.DataFrame(point_rows(self.localisation)).set_index("point")
        clocks = ["clock_offset_ns", "clock_uncertainty_ns"]
        frame[clocks] = frame[clocks].astype("Int64")
        return documented(frame, POINTS)

    @cached_property
    def exchanges(self) -> "pd.DataFrame":
        """One row an exchange: its fate, where, its frames at each point, and what its messages say where that is known."""
        import pandas as pd

        rows = exchange_rows(self.localisation, self.frames, np.arange(len(self.localisation.fates)))
        nothing = dict.fromkeys(MESSAGE)
        every = [row | nothing | (row["message"] or {}) for row in rows]
        numbers = {name: column.dtype for name, column in EXCHANGES.items() if column.dtype == "Int64"}
        frame = pd.DataFrame(every, columns=list(EXCHANGES)).astype({"confidence": "float64", **numbers})
        return documented(frame, EXCHANGES)

    @cached_property
    def conversations(self) -> "pd.DataFrame":
        """One row a conversation: its ends, its row in each point's flow table, and its worst fate."""
        import pandas as pd

        table = self.localisation.alignment.conversations
        fates = self.localisation.fates
        frame = pd.DataFrame(
            {
                "initiator": pd.Series(table.book.texts(table["initiator"]), dtype="str"),
                "initiator_port": table["initiator_port"],
                "responder": pd.Series(table.book.texts(table["responder"]), dtype="str"),
                "responder_port": table["responder_port"],
                "protocol": table["protocol"],
                "first": pd.to_datetime(table["first_ns"], unit="ns", utc=True),
            }
        )
        for position, point in enumerate(self.localisation.points):
            flow = table.flow_of[:, position]
            frame[f"flow_{point.name}"] = pd.array(np.where(flow < 0, 0, flow), dtype="Int64")
            frame.loc[flow < 0, f"flow_{point.name}"] = pd.NA
        grouped = pd.Series(fates["conversation"]).groupby(fates["conversation"]).size()
        unanswered = pd.Series(fates["fate"] != 0).groupby(fates["conversation"]).sum()
        frame["exchanges"] = grouped.reindex(frame.index, fill_value=0)
        frame["unanswered"] = unanswered.reindex(frame.index, fill_value=0).astype("int64")
        return documented(frame, CONVERSATIONS)

    @cached_property
    def hops(self) -> "pd.DataFrame":
        """One row a hop and direction: pieces delivered, copies lost and recovered, lost for good, missed by captures."""
        import pandas as pd

        return documented(pd.DataFrame(hop_rows(self.localisation), columns=list(HOPS)), HOPS)

    @cached_property
    def path(self) -> "nx.DiGraph[str]":
        """The path as a directed graph: capture points in path order, and each hop in both directions, with counts.

        A node, the point's name, has `position` and what its row of `points` has, among it `requests`, `responses`, `node`,
        `kind`, `miss_rate_low` and `miss_rate_high`. An edge goes as the packets go, requests from the nearer point to the
        farther and responses back, and has `direction`, `delivered`, `recovered`, `lost`, `unsent` as its row of `hops`, and
        `missed`: pieces that the capture at its end lacks though they passed.

        Examples
        --------
        >>> path = mixcni.diagnose("captures/networkpolicy-drop").path
        >>> list(path), path.nodes["B"]["requests"]
        (['A', 'B', 'C'], 12)
        >>> path.edges["B", "C"]["lost"], path.edges["B", "A"]["direction"]
        (12, 'response')
        """
        return path_graph(self.localisation)

    @cached_property
    def proxied(self) -> "pd.DataFrame":
        """One row a pair of requests on both sides of a proxy, by what they are linked; no hop is blamed by one.

        Where several fit as well as each other all are there, with their `rivals`, and none of them is linked.
        """
        import pandas as pd

        rows = [
            {f"{side}_{name}": row[side][name] for side in ("downstream", "upstream") for name in ("conversation", "number")}
            | row
            for row in proxied_rows(self.localisation, self.proxy_links)
        ]
        frame = pd.DataFrame(rows, columns=list(PROXIED))
        typed = {name: column.dtype for name, column in PROXIED.items() if column.dtype not in ("str", "object")}
        return documented(frame.astype(typed), PROXIED)

    @cached_property
    def findings(self) -> "pd.DataFrame":
        """One row a finding, the surest first."""
        import pandas as pd

        rows = [
            {
                "cause": finding.cause,
                "confidence": finding.confidence,
                "sentence": finding.sentence,
                "evidence": len(finding.evidence),
                "against": len(finding.against),
                "remedies": len(finding.remedies),
            }
            for finding in self.findings_found
        ]
        return documented(pd.DataFrame(rows, columns=list(FINDINGS)), FINDINGS)

    def ladder(self, conversation: int) -> Conversation:
        """One conversation over all points: time downwards, a column a point, `·` where a copy is missing.

        Parameters
        ----------
        conversation : row in `conversations`

        Raises
        ------
        ParameterError : there is no such conversation

        Examples
        --------
        >>> print(mixcni.diagnose("captures/networkpolicy-drop").ladder(3))
        10.244.3.7:60820 → 10.242.2.149:8080
               seconds     segment      A    B  C
              0.000000  →  SYN         #3   #3  ·
              1.005034  →  SYN again   #7   #7  ·
              3.021040  →  SYN again  #11  #11  ·
          · not in this capture
        """
        return Conversation(self, self._known(conversation))

    def figure(self, name: str = "path", conversation: int | None = None) -> "Drawing":
        """A figure: `path`, `losses`, `clocks`, or the `ladder` of a conversation.

        Parameters
        ----------
        name : `path`: requests and responses on each hop, and where they die; `losses`: when which conversation lost what on
            which hop; `clocks`: each point's clock against the first one's; `ladder`: one conversation over all points
        conversation : row in `conversations`, of a ladder; None: the worst one

        Raises
        ------
        ParameterError : there is no such figure or conversation

        Examples
        --------
        >>> report = mixcni.diagnose("captures/networkpolicy-drop")
        >>> report.figure("ladder", 3).title
        'Conversation 3, 10.244.3.7:60820 → 10.242.2.149:8080, over all points'
        """
        from mixcni.report.figures import draw, draw_ladder

        if name != "ladder":
            return draw(self.localisation, name)
        if conversation is None:
            conversation = next(iter(worst_conversations(self.localisation, 1)), 0)
        return draw_ladder(self.localisation, self._known(conversation))

    def _known(self, conversation: int) -> int:
        """The row of a conversation that is there."""
        count = len(self.localisation.alignment.conversations)
        if not 0 <= conversation < count:
            raise ParameterError(f"conversation must be in [0, {count}), got {conversation}")
        return conversation

    def what_if(self, policy: "PolicyText") -> WhatIf:
        """How the observed requests would fare with a policy changed or added: which would pass, which no longer would.

        Parameters
        ----------
        policy : a file, YAML text, or mappings

        Raises
        ------
        ParameterError : no policy is in it, or something that is none

        Examples
        --------
        >>> report = mixcni.diagnose("captures/networkpolicy-drop")
        >>> remedy = report.findings_found[0].remedies[0]
        >>> report.what_if(remedy.yaml).would_pass
        12
        """
        return what_if(self.localisation, self.cluster, policy, self.pod_cidrs)

    def to_dict(self, *, every_exchange: bool = False) -> dict[str, Any]:
        """The report by the contract `mixcni.report/1`; exchanges that were answered only with `every_exchange`."""
        return report_object(self, every_exchange=every_exchange)

    def to_json(self, *, every_exchange: bool = False) -> str:
        """`to_dict` as JSON text; characters that could steer a terminal are escaped in it."""
        text = json.dumps(self.to_dict(every_exchange=every_exchange), indent=1, ensure_ascii=False, allow_nan=False)
        return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)

    def print(self, console: "Console | None" = None) -> None:
        """Print the report, in a terminal's width and colours, into a pipe without them; to `console` if one is given."""
        from rich.console import Console

        target = console or Console(highlight=False)
        if console is None:
            target.width = min(target.width, WIDEST)
        if target.is_terminal:
            print_report(self.summary, target)
        else:
            target.file.write(f"{report_text(self.summary, target.width)}\n")

    def save(self, path: str | Path, *, every_exchange: bool = False) -> Path:
        """Write the report to `path`, in the form that its suffix names.

        .html is a postmortem in one file that needs no network; .md the same for a ticket; .json the contract mixcni.report/1,
        with `every_exchange` the answered ones too; .txt what a terminal shows; .pcapng the frames that matter, from all points
        on one clock, each with a comment that says what it shows.

        Raises
        ------
        ParameterError : another suffix
        CaptureError : .pcapng, and a capture is no longer where it was

        Examples
        --------
        >>> report = mixcni.diagnose("captures/networkpolicy-drop")
        >>> report.save(Path(tempfile.mkdtemp()) / "postmortem.html").suffix
        '.html'
        """
        target = Path(path)
        if target.suffix == ".pcapng":
            save_evidence(self, target)
            return target
        texts: dict[str, Callable[[], str]] = {
            ".html": lambda: postmortem_html(self),
            ".md": lambda: postmortem_markdown(self),
            ".json": lambda: self.to_json(every_exchange=every_exchange),
            ".txt": lambda: str(self),
        }
        if target.suffix not in texts:
            raise ParameterError(f"a report is saved as {', '.join(texts)} or .pcapng, got {target.name!r}")
        target.write_text(f"{texts[target.suffix]().rstrip()}\n", encoding="utf-8")
        return target

    def __str__(self) -> str:
        return report_text(self.summary)

    def __repr__(self) -> str:
        return self.summary.glance

    def _repr_html_(self) -> str:
        return report_html(self.summary, self.figure("path").inline)
