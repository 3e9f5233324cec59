"""A pass of numba's compiler for kernels: an index is never negative, so that machine code need not count it from the end.

Numba reads an index of a signed type as Python does, with three instructions more an access, which are a fifth of what following
flows takes. A kernel's index is within its array: its plain form and the form with bounds that tests use raise where it is not.
"""

from typing import Any

from numba.core import ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NopythonTypeInference
from numba.core.typing.templates import signature


@register_pass(mutates_CFG=False, analysis_only=False)
class UnsignedIndices(FunctionPass):
    """Cast the signed index of each access to an array to an unsigned one."""

    _name = "unsigned_indices"

    def __init__(self) -> None:  # abstract in numba
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Rewrite the typed code of a function, and say that it was."""
        for block in state.func_ir.blocks.values():
            body: list[Any] = []
            for statement in block.body:
                access = statement.value if isinstance(statement, ir.Assign) else statement
                if _is_signed_access(access, state.typemap):
                    body.append(_unsigned(access, block.scope, state))
                body.append(statement)
            block.body = body
        return True


def _is_signed_access(access: Any, typemap: Any) -> bool:
    """Whether this reads or writes one element of an array by a signed integer."""
    if isinstance(access, ir.SetItem):
        array = access.target
    elif isinstance(access, ir.Expr) and access.op == "getitem":
        array = access.value
    else:
        return False
    index = typemap[access.index.name]
    return isinstance(typemap[array.name], types.Array) and index in types.signed_domain


def _unsigned(access: Any, scope: Any, state: Any) -> Any:
    """The assignment of an access's index to an unsigned variable, by which it is made from now on."""
    variable = scope.redefine("unsigned_index", access.loc)
    state.typemap[variable.name] = types.uintp
    cast = ir.Assign(ir.Expr.cast(access.index, access.loc), variable, access.loc)
    old = state.calltypes.pop(access)
    access.index = variable
    state.calltypes[access] = signature(old.return_type, old.args[0], types.uintp, *old.args[2:])
    return cast


class KernelCompiler(CompilerBase):  # type: ignore[misc,unused-ignore]
    """Numba's compiler with this pass behind its type inference."""

    def define_pipelines(self) -> list[Any]:
        """The passes, in order."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(UnsignedIndices, NopythonTypeInference)
        passes.finalize()
        return [passes]
