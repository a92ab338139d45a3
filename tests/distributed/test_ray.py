"""Ray's TorchTrainer starts the workers, arraynn joins them: the bits of one worker."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from test_processes import ENVIRONMENT, LIMIT, ROOT, RUN
from training_run import bits, train

PROGRAM = f"""
import sys
from pathlib import Path

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

folder = Path(sys.argv[1])


def loop(config):
    sys.path.insert(0, {str(RUN.parent)!r})
    import arraynn as nn
    from training_run import bits, train

    workers = nn.workers("torch")
    found = bits(*train(workers, 8))
    (folder / f"{{workers.rank}} of {{workers.size}}").write_text(found)


ray.init(num_cpus=2, include_dashboard=False, runtime_env={{"env_vars": {{"PYTHONPATH": {str(ROOT)!r}}}}})
TorchTrainer(
    loop, scaling_config=ScalingConfig(num_workers=2), run_config=RunConfig(storage_path=str(folder / "ray"))
).fit()
ray.shutdown()
"""


@pytest.mark.skipif(not (find_spec("ray") and find_spec("torch")), reason='no Ray: pip install "ray[train]" torch')
def test_two_workers_that_ray_starts_have_the_bits_of_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        cwd=tmp_path,
        env={**ENVIRONMENT, "RAY_USAGE_STATS_ENABLED": "0"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    alone = bits(*train(shards=8))
    assert found == {"0 of 2": alone, "1 of 2": alone}
