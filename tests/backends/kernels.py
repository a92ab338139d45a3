"""CUDA source on a machine without a GPU: compiled to PTX by NVRTC, and run by the host's C++ compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from arraynn.compiler.render import CTYPES

# What CUDA C++ has and C++ without headers lacks (which take most of a compilation), for one thread at a time; `host`
# runs through the grid.
FUNCTIONS = ("exp", "expm1", "floor", "log", "log1p", "sqrt", "tanh", "fabs")
PRELUDE = "".join(
    f'extern "C" float {name}f(float); extern "C" double {name}(double); '
    f"static inline float {name}(float x) {{ return {name}f(x); }}\n"
    for name in FUNCTIONS
)
PRELUDE += """extern "C" float powf(float, float); extern "C" double pow(double, double);
static inline float pow(float x, float y) { return powf(x, y); }
struct Place { unsigned x, y; };
static thread_local Place gridDim, blockDim, blockIdx, threadIdx;
#define __global__
#define __launch_bounds__(threads)
#define __shared__ static thread_local
#define EACH_THREAD for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)
#define BARRIER
"""
HOST = """
extern "C" void host(unsigned gx, unsigned gy, unsigned bx, {arguments}) {{
  gridDim = {{gx, gy}}; blockDim = {{bx, 1}};
  for (blockIdx.y = 0; blockIdx.y < gy; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < gx; ++blockIdx.x)
      {threads}{kernel}({names});
}}
"""


def compiler() -> str | None:
    """The host's C++ compiler, if there is one."""
    return shutil.which("g++") or shutil.which("clang++")


@cache
def compiled(source: str, name: str = "update") -> Any:
    """`host(gx, gy, bx, arguments …)`: the kernel of this name, thread after thread."""
    head = source.partition(f" {name}(")[2].partition(") {")[0]
    names = ", ".join(argument.split()[-1].lstrip("*") for argument in head.split(", "))
    threads = "" if "EACH_THREAD" in source else "EACH_THREAD "  # a kernel with barriers says where its threads run
    text = PRELUDE + source + HOST.format(arguments=head, names=names, kernel=name, threads=threads)
    return _library(text).host


def compiled_together(sources: list[str]) -> list[Any]:
    """`host` of each kernel `fused` with barriers: one run of the compiler for all of them."""
    parts = [PRELUDE]
    for i, source in enumerate(sources):
        head = source.partition(" fused(")[2].partition(") {")[0]
        names = ", ".join(argument.split()[-1].lstrip("*") for argument in head.split(", "))
        parts.append(source.replace(" fused(", f" fused{i}("))
        parts.append(
            HOST.format(arguments=head, names=names, kernel=f"fused{i}", threads="").replace(" host(", f" host{i}(")
        )
    library = _library("".join(parts))
    return [getattr(library, f"host{i}") for i in range(len(sources))]


def _library(text: str) -> Any:
    """What is compiled of this C++."""
    folder = Path(tempfile.mkdtemp(prefix="kernel"))
    (folder / "kernel.cpp").write_text(text)
    library = folder / "kernel.so"
    # as the kernels' own option says: one rounding an operation
    command = [compiler(), "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-o", library, folder / "kernel.cpp"]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    shutil.rmtree(folder)
    return loaded


class HostKernel:
    """Stands in for cupy.RawKernel: the same call, the same source, on NumPy's memory."""

    launches: list[tuple[Any, Any]]

    def __init__(self, source: str, name: str, options: tuple[str, ...] = ()) -> None:
        assert options == ("--fmad=false",)
        self.source, self.name, self.launches = source, name, []

    def __call__(self, grid: tuple[int, int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        self.launches.append((grid, block))
        run, given = compiled(self.source, self.name), [*grid, *block, *map(argument_of, arguments)]
        self.start(lambda: run(*given))

    def start(self, run: Any) -> None:
        """Run it now."""
        run()


def argument_of(x: Any) -> Any:
    """As CuPy passes it: an array as its pointer, a number by the dtype that it has."""
    if isinstance(x, np.generic):
        return np.ctypeslib.as_ctypes_type(x.dtype)(x.item())
    x = getattr(x, "_host", x)
    assert isinstance(x, np.ndarray), f"a kernel takes arrays and NumPy scalars, not {type(x)}"
    return ctypes.c_void_p(x.ctypes.data)


def elementwise_source(takes: str, makes: str, operation: str) -> str:
    """A loop around the operation of a cupy.ElementwiseKernel, over flat arrays; numbers are arrays, too."""
    given, made = ([parameter.split() for parameter in text.split(", ")] for text in (takes, makes))
    arguments = [f"const {CTYPES[kind]}* p_{name}" for kind, name in given]
    arguments += [f"{CTYPES[kind]}* p_{name}" for kind, name in made]
    lines = [f"const {CTYPES[kind]} {name} = p_{name}[i_];" for kind, name in given]
    lines += [f"{CTYPES[kind]} {name};" for kind, name in made]
    lines += [operation, *(f"p_{name}[i_] = {name};" for _, name in made)]
    body = "\n    ".join("\n".join(lines).splitlines())
    loop = f"  for (long long i_ = 0; i_ < n_; ++i_) {{\n    {body}\n  }}"
    return f'{PRELUDE}extern "C" void host(long long n_, {", ".join(arguments)}) {{\n{loop}\n}}\n'


_looped = cache(lambda *signature: _library(elementwise_source(*signature)).host)


class HostElementwise:
    """Stands in for cupy.ElementwiseKernel: broadcasts, makes its outputs, runs the operation on the host."""

    def __init__(self, takes: str, makes: str, operation: str, name: str, options: tuple[str, ...] = ()) -> None:
        assert options == ("--fmad=false",)
        self.signature = takes, makes, operation
        self.kinds = [[parameter.split()[0] for parameter in text.split(", ")] for text in (takes, makes)]

    def __call__(self, *arguments: Any) -> Any:
        takes, makes = self.kinds
        given = []
        for kind, x in zip(takes, arguments, strict=True):
            assert isinstance(x, (int, float, np.ndarray)), f"{type(x)} given to a kernel"
            assert isinstance(x, (int, float)) or x.dtype.name == kind, f"{x.dtype} given to a kernel of {kind}"
            given.append(np.asarray(x, kind))
        shape = np.broadcast_shapes(*(x.shape for x in given))
        given = [np.ascontiguousarray(np.broadcast_to(x, shape)) for x in given]
        made = [np.empty(shape, kind) for kind in makes]
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*given, *made)]
        _looped(*self.signature)(ctypes.c_longlong(made[0].size), *pointers)
        return made[0] if len(made) == 1 else tuple(made)


def architectures() -> list[int]:
    """What NVRTC can compile for, as numbers: 90 is compute capability 9.0."""
    from cuda.bindings import nvrtc

    failed, count = nvrtc.nvrtcGetNumSupportedArchs()
    assert not failed, failed
    failed, found = nvrtc.nvrtcGetSupportedArchs()
    assert not failed, failed
    return list(found)[:count]


def to_ptx(source: str, architecture: int, options: tuple[str, ...] = ()) -> str:
    """The PTX of CUDA source; AssertionError with the compiler's log where there is none."""
    from cuda.bindings import nvrtc

    failed, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    assert not failed, failed
    told = [f"--gpu-architecture=compute_{architecture}".encode(), b"--std=c++17", *(o.encode() for o in options)]
    (failed,) = nvrtc.nvrtcCompileProgram(program, len(told), told)
    # the binding writes into bytes; one more than asked for, as Python has each of one byte only once for all
    log = bytes(nvrtc.nvrtcGetProgramLogSize(program)[1] + 1)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.decode(errors="replace")
    ptx = bytes(nvrtc.nvrtcGetPTXSize(program)[1] + 1)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(program)
    return ptx.decode()
