"""What is read soon from a table that the caches do not hold: asked for ahead, it is there when its turn comes."""

from mixcni.kernels.jit import kernel


@kernel
def prefetch(array, at):
    """Bring the element at `at` into the processor's caches: one instruction in machine code, nothing in plain form.

    array : of any dtype; at : within it
    """
