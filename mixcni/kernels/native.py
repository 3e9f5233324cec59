"""The octet readers of mixcni.kernels.byteorder as single machine loads, for the compiled form.

In plain form they build an integer out of octets; numba would do so octet by octet, with a branch for a negative index at each.
The contract is the same: the caller has checked that the octets are there, and `at` is not negative.
"""

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from mixcni.kernels import byteorder


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


FORMS: Final = {
    byteorder.u8: loader(8, swapped=False),
    byteorder.be16: loader(16, swapped=True),
    byteorder.be32: loader(32, swapped=True),
    byteorder.le16: loader(16, swapped=False),
    byteorder.le32: loader(32, swapped=False),
}
