"""The founding case that comes with the package."""

from importlib import resources
from pathlib import Path
from typing import Final

from mixcni.errors import CaseError

INSTALLED: Final = "demo"
IN_CHECKOUT: Final = Path("captures", "networkpolicy-drop")


def demo_folder() -> Path:
    """The folder of the founding case: within the installed package, or in the checkout that is worked in.

    Raises
    ------
    CaseError : neither is there
    """
    package = Path(str(resources.files("mixcni")))
    for folder in (package / INSTALLED, package.parent / IN_CHECKOUT):
        if folder.is_dir():
            return folder
    raise CaseError(package / INSTALLED, "the founding case", "nothing")
