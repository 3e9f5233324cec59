"""Case -> Report: all stages in order, and what was assumed on the way, each assumption a sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mixcni.align import PathOrder, align_points, infer_order
from mixcni.case.folder import Case, open_case
from mixcni.case.loading import LoadedPoint, Progress, load_points
from mixcni.case.memory import kept_memory
from mixcni.case.rotation import dropped_share, holes_between
from mixcni.cluster import read_dumps
from mixcni.cluster.translations import stated_translations
from mixcni.exchanges import ExchangeTable
from mixcni.explain import Facts, Finding, explain_losses
from mixcni.flows import FlowTable
from mixcni.localise import Localisation, localise_losses
from mixcni.report import InputFile, Report
from mixcni.schema import Direction, Sight
from mixcni.topology import CapturePoint
from mixcni.words import listed, plural


@kept_memory()
def diagnose(case: Case | str | Path, *, progress: Progress | None = None) -> Report:
    """Say on which hop requests lose their responses, and why.

    Parameters
    ----------
    case : a Case, or the folder of one
    progress : called with the octets read so far and the octets of all captures

    Raises
    ------
    CaseError : `case` is a path, and no case is there
    CaptureError : a capture cannot be opened or is none
    DumpError : a dump cannot be opened

    Examples
    --------
    >>> mixcni.diagnose("captures/networkpolicy-drop").verdict
    'loss'
    """
    if not isinstance(case, Case):
        case = open_case(case)
    inputs: list[InputFile] = []
    assumptions = list(case.notes)
    tracked: list[FlowTable] = []
    exchanges: list[ExchangeTable] = []
    watched: list[CapturePoint] = []
    for point, loaded in zip(case.points, load_points([point.captures for point in case.points], progress), strict=True):
        inputs.extend(_capture_inputs(case, loaded))
        tracked.append(loaded.flows)
        exchanges.append(loaded.exchanges)
        captures, packets = loaded.captures, loaded.flows.packets
        watched.append(replace(point, holes=holes_between(captures, packets), dropped=dropped_share(captures, packets)))
    points = tuple(watched)
    if not case.path_given and len(points) > 1:
        found = infer_order([point.name for point in points], tracked, [point.node for point in points])
        order = found.positions
        points, tracked, exchanges = _placed(points, found), [tracked[i] for i in order], [exchanges[i] for i in order]
        names = " → ".join(point.name for point in points)
        assumptions.append(f"the path of a request is taken to be {names}: {'; '.join(found.reasons)}")
    nodes = [point.node for point in points]
    cluster = read_dumps(case.dumps, root=case.folder)
    alignment = align_points([point.name for point in points], tracked, nodes, exchanges, stated_translations(cluster))
    localisation = localise_losses(points, alignment, exchanges)
    facts = Facts(localisation, cluster, case.pod_cidrs, case.relative)
    findings = explain_losses(facts)
    assumptions.extend(_assumptions(localisation, findings))
    inputs.extend(InputFile(case.relative(path), path, path.stat().st_size) for path in case.dumps)
    return Report(
        title=case.title,
        localisation=localisation,
        findings_found=findings,
        cluster=cluster,
        inputs=tuple(inputs),
        assumptions=tuple(dict.fromkeys(assumptions)),
        scenario={} if case.scenario is None else case.scenario.as_dict(),
        pod_cidrs=case.pod_cidrs,
    )


def _placed(points: Sequence[CapturePoint], found: PathOrder) -> tuple[CapturePoint, ...]:
    """The points in the order that was found, with what is known of their places."""
    names = [point.name for point in points]
    pairs = [*found.beside, *((q, p) for p, q in found.beside)]
    beside = [frozenset(names[q] for p, q in pairs if p == i) for i in range(len(points))]
    return tuple(replace(points[i], is_placed=i not in found.unplaced, beside=beside[i]) for i in found.positions)


def _capture_inputs(case: Case, loaded: LoadedPoint) -> Iterator[InputFile]:
    counts = np.bincount(loaded.flows.packets["file"], minlength=len(loaded.captures)).tolist()
    for capture, octets, count in zip(loaded.captures, loaded.octets, counts, strict=True):
        damage = tuple(
            {"offset": d.offset, "what": d.what, "wanted": d.wanted, "had": d.had, "skipped": d.skipped} for d in capture.damage
        )
        yield InputFile(case.relative(capture.path), capture.path, octets, count, damage)


def _assumptions(localisation: Localisation, findings: tuple[Finding, ...]) -> Iterator[str]:
    """What the verdict takes for granted without having seen it."""
    for position in localisation.sights.assumed_windows:
        name = localisation.points[position].name
        yield f"the capture at {name} has no packets and is taken to have run in the window that the case gives"
    for position in localisation.sights.learned_scopes:
        name = localisation.points[position].name
        yield f"what passes {name} is learned from the other flows seen there: the case gives no scope"
    for position, flows in enumerate(localisation.alignment.points):
        unread = int(flows.packets.not_decoded.sum())
        if unread:
            name = localisation.points[position].name
            yield f"{plural(unread, 'packet')} at {name} of a link type that is not decoded are left out"
    if localisation.losses:
        yield from _kind_assumptions(localisation)
    for position, clock in enumerate(localisation.alignment.clocks):
        point = localisation.points[position]
        name = point.name
        has_packets = len(localisation.alignment.points[position].packets) > 0
        if clock.shares and not clock.segments and has_packets:
            why = f"both are on {point.node}, and no segment was seen at both"
            yield f"the clock at {name} is taken to be that at {clock.shares}: {why}"
        elif clock.beside:
            agrees = f"which is taken to agree with that at {clock.reference}"
            yield f"the clock at {name} is measured against that at {clock.beside}, {agrees}"
        elif not clock.is_known and has_packets:
            yield f"the clock at {name} is taken to agree with that at {clock.reference}: no segment was seen at both"
        elif clock.through:
            yield f"the clock at {name} is measured against that at {clock.through}, which is taken to be another's of its node"
        elif clock.is_known and clock.uncertainty_ns is None:
            yield f"the clock at {name} is bounded from one side only: segments seen at both points went one way"
    yield from _unsent(localisation)
    sights = localisation.sights
    for what, left_out in (("SYN", sights.left_out.syns), ("payload", sights.left_out.payload)):
        for position in np.flatnonzero((left_out & ~sights.hidden).any(axis=1)).tolist():
            name = localisation.points[position].name
            yield f"the capture at {name} is taken to be filtered: it has no {what}, which proves no loss"
    yield from _stated(localisation)
    unsure = np.unique(localisation.alignment.candidates["conversation"]).size
    if unsure:
        yield f"{plural(unsure, 'conversation')} may be one under other addresses, and nothing decides: each stands for itself"
    for finding in findings:
        yield from finding.assumptions


def _stated(localisation: Localisation) -> Iterator[str]:
    """What was joined because a table says so."""
    stated = localisation.alignment.conversations.stated
    if stated:
        places = listed([f"{each.file}:{each.line}" for each in stated])
        what = f"{plural(len(stated), 'conversation')} under two pairs of ends"
        yield f"{what} taken to be one by what tables state, where packets alone do not decide: {places}"


def _unsent(localisation: Localisation) -> Iterator[str]:
    """What appeared on the way, and that it is blamed on nobody."""
    for hop in localisation.hops:
        if hop.unsent:
            up, down = (hop.near, hop.far) if hop.direction == Direction.FORWARD else (hop.far, hop.near)
            begin, end = localisation.points[up].name, localisation.points[down].name
            yield (
                f"{plural(hop.unsent, 'segment')} or datagrams appeared at {end} that {begin} had not seen, though its capture "
                "misses next to nothing: something in between made them, or a filter kept them out of it; they count as no loss"
            )


def _kind_assumptions(localisation: Localisation) -> Iterator[str]:
    """A loss at a point of unknown kind: what it can see is taken to be all that passes there."""
    missing = (localisation.sights.sight == Sight.MISSING).any(axis=0)
    for position in np.flatnonzero(missing).tolist():
        point: CapturePoint = localisation.points[position]
        if point.kind is None:
            yield (
                f"{point.name} is taken to see all traffic of its addresses: the case does not say what kind of place it is "
                "(on a veth's host side eBPF host routing hides even allowed packets)"
            )
