"""Reason and remedy where CuPy does not work: from its error, the installed packages and the driver."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from typing import Any

from .errors import LATER

WHEELS = ("cupy", *(f"cupy-cuda{major}x" for major in range(11, 20)), "cupy-rocm-7-0", "cupy-rocm-7-1", "amd-cupy")
NO_DRIVER = "no NVIDIA driver found"
GET_DRIVER = (
    "With an NVIDIA GPU, install its driver from nvidia.com/drivers; a container must be given the GPU "
    "(docker run --gpus all)"
)
# What the error and its causes say, by type and text; why that is; what helps. The first that fits is taken, so
# memory and driver come first: they also show as failures of the compiler and of cuBLAS.
KNOWN = (
    (
        r"OutOfMemory|MemoryError|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY|ALLOC_FAILED|DevicesUnavailable",
        "the GPU has no memory left, or another process keeps it for itself",
        'nvidia-smi shows who holds it: end that process, or name another GPU ("cupy:1")',
    ),
    (
        r"cudaErrorNoDevice|CUDA_ERROR_NO_DEVICE",
        "CUDA finds no GPU here{visible}",
        "nvidia-smi must list a GPU, and CUDA_VISIBLE_DEVICES must not hide it",
    ),
    (
        r"InsufficientDriver|CallRequiresNewerDriver|UnsupportedPtxVersion|UNSUPPORTED_PTX_VERSION|DriverMismatch|CompatNotSupported",
        "the NVIDIA driver (CUDA {driver}) is older than what this CuPy needs (CUDA {runtime})",
        "Update the driver{swap}",
    ),
    (
        r"cudaErrorInitializationError|CUDA_ERROR_NOT_INITIALIZED",
        "CUDA does not start; it never does in a process forked from one that used it",
        "Start worker processes with multiprocessing's 'spawn' method",
    ),
    (
        r"NoKernelImage|NO_BINARY_FOR_GPU|gpu-architecture|INVALID_OPTION|InvalidKernelImage|kernel image is invalid",
        "the CUDA {runtime} of this CuPy makes no code for this GPU (compute capability {capability})",
        "{other}",
    ),
    (
        r"(?i)cublas",
        "cuBLAS, which multiplies matrices, cannot be loaded or does not work",
        "{parts}; no other CUDA's cuBLAS may stand first in LD_LIBRARY_PATH",
    ),
    (
        r"(?i)nvrtc|cannot open source file|could not open source file|CompileException|CUDA headers",
        "CUDA's compiler (NVRTC) or its headers are missing or do not fit",
        "{parts}; or set CUDA_PATH to a CUDA toolkit",
    ),
    (
        LATER.pattern,
        "a kernel has failed on this GPU, and CUDA does not give the GPU back to this process",
        "Start the process again; under CUDA_LAUNCH_BLOCKING=1 the traceback points at the kernel",
    ),
    (r"libcuda\.so|nvcuda\.dll", NO_DRIVER, GET_DRIVER),
    (
        r"cannot open shared object file|DLL load failed|undefined symbol|Failure finding|failed to load",
        "a shared library of CuPy's is missing or does not fit",
        "pip uninstall {wheel}, then {install}",
    ),
)


def explain(error: Exception, stage: str, cuda: Any = None, device: int | None = None) -> tuple[str, str]:
    """(reason, remedy) for an error of CuPy's at that stage, by its name and words: its classes move about.

    cuda : `cupy.cuda`, None before the import; device : the GPU's number, None before they are counted.
    """
    driver, story = driver_cuda(), _story(error)
    at = f"(at {stage}: {_said(error)})"
    if driver is None and re.search(r"InsufficientDriver|StubLibrary", story):
        return f"{NO_DRIVER} {at}", GET_DRIVER  # CuPy says the same of no driver as of an old one
    facts = _facts(driver, cuda, device)
    for pattern, reason, remedy in KNOWN:
        if re.search(pattern, story):
            return f"{reason.format(**facts)} {at}", remedy.format(**facts)
    more = 'python -c "import cupy; cupy.show_config()" may tell more'
    return f"CuPy failed at {stage}: {_said(error)}", f"{more}; a fresh {facts['install']} often helps"


def absent() -> tuple[str, str]:
    """(reason, remedy) where CuPy is not installed: which extra fits the driver."""
    driver = driver_cuda()
    if driver is None:
        return f"CuPy is not installed, and {NO_DRIVER}", f"With an NVIDIA GPU and its driver, {install(driver)}"
    return f"CuPy is not installed; the NVIDIA driver takes CUDA {_dotted(driver)}", install(driver)


def install(driver: int | None) -> str:
    """The command that installs the CuPy which the driver (or a current one, if None) takes."""
    if driver is not None and driver < 12000:
        return (
            f'pip install "arraynn[cuda13]" after an update of the NVIDIA driver, which ends at CUDA {_dotted(driver)}'
        )
    return f'pip install "arraynn[cuda{12 if driver is not None and driver < 13000 else 13}]"'


def wheels_installed() -> list[str]:
    """The packages found that bring a `cupy`. Each writes over the others' files, so there may be only one."""
    from importlib import metadata  # a tenth of what importing arraynn takes, and only a failure asks for it

    def found(name: str) -> bool:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return False
        return True

    return [name for name in WHEELS if found(name)]


def driver_cuda() -> int | None:
    """The CUDA version that the NVIDIA driver supports, as CUDA writes it (12040 is 12.4); None without a driver.

    It asks for the version only. cuInit would start CUDA, and no process forked from this one could use it then.
    """
    version = ctypes.c_int()
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        failed = library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed or not version.value else version.value


def _facts(driver: int | None, cuda: Any, device: int | None) -> dict[str, str]:
    """What the texts of KNOWN may name. CuPy is asked with care: it is known to be broken."""
    try:
        runtime = int(cuda.runtime.runtimeGetVersion())
    except Exception:
        runtime = None
    try:
        capability = int(cuda.Device(device).compute_capability) if device is not None else None
    except Exception:
        capability = None
    major = runtime // 1000 if runtime else 12 if driver is not None and driver < 13000 else 13
    wheel = (wheels_installed() or ["cupy"])[0]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    older = driver is not None and 12000 <= driver < major * 1000
    # CUDA 13 makes no code for GPUs before 7.5, CUDA 12 does; a GPU newer than the compiler wants a newer one.
    too_old_gpu = capability is not None and capability < 75
    fitting = 12 if too_old_gpu or (driver is not None and driver < 13000) else 13
    return {
        "driver": _dotted(driver) if driver else "?",
        "runtime": _dotted(runtime) if runtime else "?",
        "capability": f"{capability // 10}.{capability % 10}" if capability else "?",
        "visible": "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})",
        "wheel": wheel,
        "install": install(driver),
        "swap": f", or take the CuPy for it: pip uninstall {wheel}, then {install(driver)}" if older else "",
        "parts": f'pip install -U "arraynn[cuda{major}]" brings CUDA\'s own parts, cupy-cuda{major}x[ctk]',
        "other": f'pip uninstall {wheel}, then pip install -U "arraynn[cuda{fitting}]"',
    }


def _story(error: BaseException) -> str:
    """The error and what it came from, a line for each: CuPy wraps NVRTC's error, and the linker's, in its own."""
    lines: list[str] = []
    at: BaseException | None = error
    while at is not None and len(lines) < 10:
        lines.append(f"{type(at).__name__}: {at}")
        at = at.__cause__ or at.__context__
    return "\n".join(lines)


def _said(error: Exception) -> str:
    """One line of what the error says. CuPy's import error is a page, with the real one after "Original error:"."""
    text = str(error)
    told = [line.strip() for line in text.splitlines() if line.strip(" =-\t")]
    original = re.search(r"Original error:\s*(.+)", text)
    line = original[1].strip() if original else f"{type(error).__name__}: {told[0] if told else 'no message'}"
    return line if len(line) <= 200 else line[:197] + "..."


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
