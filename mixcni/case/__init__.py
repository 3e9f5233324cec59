"""The case folder, and the one place where the stages are run in order."""

from mixcni.case.compilation import compile_kernels
from mixcni.case.demo import demo_folder
from mixcni.case.diagnosis import diagnose
from mixcni.case.folder import Case, case_of_files, files_by_point, open_case
from mixcni.case.loading import Progress

__all__ = ["Case", "Progress", "case_of_files", "compile_kernels", "demo_folder", "diagnose", "files_by_point", "open_case"]
