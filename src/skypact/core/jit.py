"""`kernel`: compiles a function over arrays once, from its annotations, and keeps the result on disk.

The signature is built from the annotations, so that compiling happens when a module is
imported, never when the first plot arrives. Compiled code is kept in a folder named after the
content of the kernel's own stage and of `core`: kernels call only those, and the compiler
itself does not notice when a kernel in another file changes.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import numba
import numpy as np
from numba import types

from skypact.core.arrays import ArrayMark

Function = TypeVar("Function", bound=Callable[..., Any])

KernelListener = Callable[[str], None]
_listeners: list[KernelListener] = []

_SCALARS: dict[Any, Any] = {
    float: types.float64,
    int: types.int64,
    bool: types.boolean,
    np.float64: types.float64,
    np.int64: types.int64,
    np.int32: types.int32,
    np.uint64: types.uint64,
    np.uint8: types.uint8,
    type(None): types.none,
    None: types.none,
}


def on_kernel_compiled(listener: KernelListener) -> None:
    """Call `listener` with the name of each kernel as it becomes ready, to show a first start's progress."""
    _listeners.append(listener)


def kernel(function: Function) -> Function:
    """Compile `function` for the types that its annotations name.

    Without a just-in-time compiler (`NUMBA_DISABLE_JIT=1`) the function runs as plain Python.
    Floats follow IEEE rules (no fast mathematics), so results are the same to the bit on every run.

    Raises:
        TypeError: an annotation names no type that a kernel can take.
    """
    return _compile(function, is_inner=False)


def inner_kernel(function: Function) -> Function:
    """Compile `function` as `kernel` does, for other kernels to call, but not for Python.

    What Python needs to call a function takes a third of the time to compile one that takes many arrays.
    """
    return _compile(function, is_inner=True)


def _compile(function: Function, *, is_inner: bool) -> Function:
    if numba.config.DISABLE_JIT:
        return function
    numba.config.CACHE_DIR = _cache_folder(function.__module__)
    compiled = numba.njit(
        _signature(function),
        cache=True,
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=is_inner,
        no_cfunc_wrapper=True,
    )(function)
    for listener in _listeners:
        listener(f"{function.__module__}.{function.__name__}")
    return compiled  # type: ignore[no-any-return]


def _signature(function: Callable[..., Any]) -> Any:
    hints = get_type_hints(function, include_extras=True)
    result = _numba_type(hints.pop("return"), is_result=True)
    return result(*(_numba_type(hint, is_result=False) for hint in hints.values()))


def _numba_type(hint: Any, *, is_result: bool) -> Any:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin = get_origin(hint)
    if origin is Annotated:
        array, mark = get_args(hint)
        if isinstance(mark, ArrayMark):
            element = numba.from_dtype(np.dtype(get_args(get_args(array)[1])[0]))
            is_mutable = mark.mutable or is_result
            return types.Array(element, mark.dimensions, "C", readonly=not is_mutable)
    if origin is tuple:
        return types.Tuple([_numba_type(part, is_result=is_result) for part in get_args(hint)])
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        fields = get_type_hints(hint, include_extras=True)
        parts = [_numba_type(fields[name], is_result=is_result) for name in hint._fields]
        if len(set(parts)) == 1:  # the compiler has a type of its own for fields of one type
            return types.NamedUniTuple(parts[0], len(parts), hint)
        return types.NamedTuple(parts, hint)
    raise TypeError(f"a kernel can't take {hint!r}: use the types of skypact.core.arrays")


def cache_root() -> Path:
    """The folder that keeps compiled kernels: `SKYPACT_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("SKYPACT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skypact"


def _cache_folder(module: str) -> str:
    stage = module.rpartition(".")[0]
    return str(cache_root() / "kernels" / f"{stage}-{_content_hash(stage)}")


@cache
def _content_hash(stage: str) -> str:
    digest = hashlib.sha256(f"{sys.version}{numba.__version__}{np.__version__}".encode())
    for package in sorted({stage, "skypact.core"}):
        package_file = sys.modules[package].__file__ if package in sys.modules else None
        if package_file is None:
            continue
        for source in sorted(Path(package_file).parent.glob("*.py")):
            text = source.read_bytes()
            if b"@kernel" in text or b"@inner_kernel" in text or source.parent.name == "core":
                digest.update(text)
    return digest.hexdigest()[:16]
