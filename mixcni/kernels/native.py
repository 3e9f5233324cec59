"""Kernels that are one instruction of the machine, for the compiled form: octet readers as single loads, and prefetching.

In plain form the readers build an integer out of octets, and numba would do so octet by octet.
The contract is the same: the caller has checked that the octets are there, and `at` is not negative.
"""

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from mixcni.kernels import byteorder
from mixcni.kernels.prefetch import prefetch


def loader(bits: int, *, swapped: bool) -> Callable[..., Any]:
    """A compiled function (octets, at) that loads `bits` at an octet of any alignment, as an int64.

    swapped : the most significant octet stands first (all machines that numba runs on have it last)
    """

    def load(typing_context: Any, octets: Any, at: Any) -> Any:  # noqa: ARG001, the signature that numba asks for
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
            word = ir.IntType(bits)
            pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), word.as_pointer())
            value = builder.load(pointer, align=1)
            return builder.zext(builder.bswap(value) if swapped else value, ir.IntType(64))

        return types.int64(octets, types.int64), generate

    form: Callable[..., Any] = intrinsic(load)
    return form


def _prefetch(typing_context: Any, array: Any, at: Any) -> Any:  # noqa: ARG001, the signature that numba asks for
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [cgutils.voidptr_t], ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        )
        builder.call(function, [pointer, word(1), word(3), word(1)])  # to be written, to be kept, data
        return context.get_dummy_value()

    return types.none(array, types.int64), generate


FORMS: Final[dict[Any, Callable[..., Any]]] = {
    prefetch: intrinsic(_prefetch),
    byteorder.u8: loader(8, swapped=False),
    byteorder.be16: loader(16, swapped=True),
    byteorder.be32: loader(32, swapped=True),
    byteorder.le16: loader(16, swapped=False),
    byteorder.le32: loader(32, swapped=False),
}
