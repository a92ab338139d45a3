"""Random programs are compiled to themselves, or run as they are. More of them: ci/programs."""

from __future__ import annotations

from .fuzz_programs import run


def test_random_programs_give_the_numbers_of_the_functions_themselves() -> None:
    reasons, compiled = run(200)
    print(f"{compiled} of 200 programs are compiled; the others are refused: {reasons.most_common(5)}")
    assert compiled > 60  # safety is not bought by compiling nothing
