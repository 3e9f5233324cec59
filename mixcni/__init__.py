"""Where do requests lose their responses between kubenet and Cilium nodes, and why: from captures and dumps, offline.

>>> import mixcni
>>> report = mixcni.diagnose(mixcni.open_case("captures/networkpolicy-drop"))
>>> report.verdict
'loss'
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixcni.case import Case, case_of_files, demo_folder, diagnose, open_case
    from mixcni.comparison import Comparison, compare
    from mixcni.decode import Capture, open_capture
    from mixcni.errors import CaptureError, CaseError, DumpError, MixcniError, ParameterError
    from mixcni.experiments import Matrix, matrix
    from mixcni.report import Report

__version__ = version("mixcni")

__all__ = [
    "Capture",
    "CaptureError",
    "Case",
    "CaseError",
    "Comparison",
    "DumpError",
    "Matrix",
    "MixcniError",
    "ParameterError",
    "Report",
    "case_of_files",
    "compare",
    "demo_folder",
    "diagnose",
    "matrix",
    "open_capture",
    "open_case",
]

# Where each name lives. They are fetched when first asked for, so that `import mixcni` costs next to nothing.
_HOMES = {
    **dict.fromkeys(("CaptureError", "CaseError", "DumpError", "MixcniError", "ParameterError"), "mixcni.errors"),
    **dict.fromkeys(("Case", "case_of_files", "demo_folder", "diagnose", "open_case"), "mixcni.case"),
    "Capture": "mixcni.decode",
    "Comparison": "mixcni.comparison",
    "Matrix": "mixcni.experiments",
    "Report": "mixcni.report",
    "compare": "mixcni.comparison",
    "matrix": "mixcni.experiments",
    "open_capture": "mixcni.decode",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mixcni' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
