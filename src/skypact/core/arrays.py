"""Array types that say element type and number of dimensions.

`Floats2` is a C-contiguous float64 array with two dimensions that is only read, so that
it takes read-only arrays (from Arrow files and network buffers) as well. `MutableFloats2`
is one that the callee writes to. `core.jit.kernel` reads these marks.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ArrayMark:
    """Dimensions and mutability of an array argument, as the compiler needs them."""

    dimensions: int
    mutable: bool = False


Floats1 = Annotated[NDArray[np.float64], ArrayMark(1)]
Floats2 = Annotated[NDArray[np.float64], ArrayMark(2)]
Floats3 = Annotated[NDArray[np.float64], ArrayMark(3)]
Floats4 = Annotated[NDArray[np.float64], ArrayMark(4)]
MutableFloats1 = Annotated[NDArray[np.float64], ArrayMark(1, mutable=True)]
MutableFloats2 = Annotated[NDArray[np.float64], ArrayMark(2, mutable=True)]
MutableFloats3 = Annotated[NDArray[np.float64], ArrayMark(3, mutable=True)]
MutableFloats4 = Annotated[NDArray[np.float64], ArrayMark(4, mutable=True)]

Ints1 = Annotated[NDArray[np.int64], ArrayMark(1)]
Ints2 = Annotated[NDArray[np.int64], ArrayMark(2)]
MutableInts1 = Annotated[NDArray[np.int64], ArrayMark(1, mutable=True)]
MutableInts2 = Annotated[NDArray[np.int64], ArrayMark(2, mutable=True)]
MutableInts3 = Annotated[NDArray[np.int64], ArrayMark(3, mutable=True)]

Int32s1 = Annotated[NDArray[np.int32], ArrayMark(1)]
Int32s2 = Annotated[NDArray[np.int32], ArrayMark(2)]
MutableInt32s1 = Annotated[NDArray[np.int32], ArrayMark(1, mutable=True)]
MutableInt32s2 = Annotated[NDArray[np.int32], ArrayMark(2, mutable=True)]

Int16s1 = Annotated[NDArray[np.int16], ArrayMark(1)]
MutableInt16s1 = Annotated[NDArray[np.int16], ArrayMark(1, mutable=True)]
UInt16s1 = Annotated[NDArray[np.uint16], ArrayMark(1)]
MutableUInt16s1 = Annotated[NDArray[np.uint16], ArrayMark(1, mutable=True)]

UInt64s1 = Annotated[NDArray[np.uint64], ArrayMark(1)]
UInt64s2 = Annotated[NDArray[np.uint64], ArrayMark(2)]
MutableUInt64s1 = Annotated[NDArray[np.uint64], ArrayMark(1, mutable=True)]
MutableUInt64s2 = Annotated[NDArray[np.uint64], ArrayMark(2, mutable=True)]

Bytes1 = Annotated[NDArray[np.uint8], ArrayMark(1)]
Bytes2 = Annotated[NDArray[np.uint8], ArrayMark(2)]
MutableBytes1 = Annotated[NDArray[np.uint8], ArrayMark(1, mutable=True)]
MutableBytes2 = Annotated[NDArray[np.uint8], ArrayMark(2, mutable=True)]
MutableBytes3 = Annotated[NDArray[np.uint8], ArrayMark(3, mutable=True)]

Bools1 = Annotated[NDArray[np.bool_], ArrayMark(1)]
MutableBools1 = Annotated[NDArray[np.bool_], ArrayMark(1, mutable=True)]


def as_kernel_array(values: Any, dtype: type[np.generic] = np.float64) -> NDArray[Any]:
    """`values` as the C-contiguous array of `dtype` that kernels take; copied only if it must be."""
    return np.ascontiguousarray(values, dtype=dtype)
