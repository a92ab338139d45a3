"""Large tables: how much memory a CSV of 200 MB takes, and how long a million rows of 20 columns.

    python ci/tables_large.py FOLDER memory [MEGABYTES]
    python ci/tables_large.py FOLDER speed

Prints the figures, and exits with 1 where a limit is passed. The memory is the peak of a process of its own, less what
it had when all was imported, for reading, judging, encoding and an epoch of training; it does not depend on what else
the machine does. The speed is a ratio of two times taken in turn, in one run, again where a busy machine spoils it. The
limit of memory is that of 200 MB; of another size, only the figure is printed.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZE = 200.0  #: megabytes
ROOM = 300 * 2**20  #: bytes, beyond the import
TIMES = 3.0  #: polars' own read
ROUNDS, TURNS = 5, 25  #: turns at least, and at most, of which the least time counts

MEMORY = """
import sys
import polars, numpy, arraynn as nn
from arraynn.cli import main
from arraynn.cli import _train, _table_run, _table_data

def peak():  # of this program alone: getrusage counts the process, too, that it was started from
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

before = peak()
words = ["--target", "y", "--epochs", "1", "--backend", "numpy", "--quiet"]
code = main(["train", sys.argv[1], "--out", sys.argv[2], *words])
print(code, peak() - before)
"""


def written(path: Path, rows: int) -> None:
    """Numbers, whole numbers, words, gaps and a target, 20 columns, some 150 bytes a row."""
    rng = np.random.default_rng(0)
    names = [*(f"x{i}" for i in range(12)), *(f"n{i}" for i in range(4)), "c0", "c1", "c2", "y"]
    words = np.asarray(["red", "green", "blue", "white"])
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(names) + "\n")
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            x = rng.standard_normal((count, 12))
            parts = [np.char.mod("%.6f", x), np.char.mod("%d", rng.integers(0, 1000, (count, 4)))]
            parts += [words[rng.integers(0, 4, (count, 3))], np.char.mod("%.6f", x[:, :1] + rng.random((count, 1)))]
            cells = np.concatenate(parts, axis=1)
            cells[rng.random(count) < 0.05, 3] = ""
            file.writelines(",".join(row) + "\n" for row in cells.tolist())


def memory(folder: Path, size: float) -> int:
    """The memory that a CSV of so many megabytes takes."""
    path = folder / "large.csv"
    written(path, 1000)
    a_row = path.stat().st_size / 1000
    written(path, round(size * 1e6 / a_row))
    began = time.monotonic()
    command = [sys.executable, "-c", MEMORY, str(path), str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.split()[-2:-1] != ["0"]:
        print(done.stdout, done.stderr)
        return 1
    used, seconds = int(done.stdout.split()[-1]), time.monotonic() - began
    megabytes = path.stat().st_size / 1e6
    path.unlink()
    print(f"{megabytes:.0f} MB of CSV: {used / 2**20:.0f} MiB beyond the import, {seconds:.0f} s")
    return int(size == SIZE and used > ROOM)


def speed(folder: Path) -> int:
    """How long a million rows of 20 columns take to encode, and polars to read."""
    import polars

    from arraynn.datasets.tables import read_table
    from arraynn.encoding import learn

    path = folder / "million.csv"
    written(path, 1_000_000)
    table = read_table(path)
    encoding = learn(table, "y").encoding
    least = {"polars": float("inf"), "encoded": float("inf")}
    for turn in range(TURNS):
        for name, act in (("polars", lambda: polars.read_csv(path)), ("encoded", lambda: encoding.encode(table))):
            began = time.perf_counter()
            act()
            least[name] = min(least[name], time.perf_counter() - began)
        ratio = least["encoded"] / least["polars"]
        if turn + 1 >= ROUNDS and ratio <= TIMES:
            break
    path.unlink()
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in least.items())
    print(f"a million rows of 20 columns, the least of {turn + 1} turns: {times}")
    print(f"that is {ratio:.2f} times as long, at most {TIMES:g} is asked for, of {os.cpu_count()} cores")
    return int(ratio > TIMES)


def main() -> int:
    folder, what = Path(sys.argv[1]), sys.argv[2]
    if what == "memory":
        return memory(folder, float(sys.argv[3]) if len(sys.argv) > 3 else SIZE)
    return speed(folder)


if __name__ == "__main__":
    sys.exit(main())
