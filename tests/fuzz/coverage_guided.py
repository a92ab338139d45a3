"""The readers under atheris, which looks for files that reach new code. Needs: pip install atheris

    python -m tests.fuzz.coverage_guided model [-runs=100000] [-max_total_time=60] [CORPUS]

The first word is the reader: model, checkpoint, idx or npz; the rest is libFuzzer's. What it finds is written as
crash-…; run `python -m tests.fuzz.coverage_guided model crash-…` to see it again.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path


def main(argv: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["arraynn", "zipfile", "json"]):
        from tests.fuzz.readers import READERS, survives

    name, *rest = argv
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(dir=memory))
    _, _, make, bend = READERS[name]
    good = make(folder)
    (folder / "corpus").mkdir()
    (folder / "corpus" / "good").write_bytes(good)

    def one(data: bytes) -> None:
        (folder / "file").write_bytes(data)
        survives(name, folder / "file")

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        """libFuzzer's own changes of bytes, and now and then one that knows the format."""
        rng = random.Random(seed)
        if rng.random() < 0.5:
            try:
                return bend(data, rng)[:most]
            except Exception:  # what it knows is the format, which data may no longer have
                pass
        return bytes(atheris.Mutate(data, most))

    corpus = [] if any(not word.startswith("-") for word in rest) else [str(folder / "corpus")]
    limits = [f"-max_len={max(20_000, 2 * len(good))}", "-timeout=20", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], *limits, *rest, *corpus], one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
