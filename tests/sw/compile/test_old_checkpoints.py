"""Checkpoints that were written before weights had scales and methods compile to the same networks, bit for bit."""

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model

#: Content hashes from the compiler before that, by seed: of a dense network and of one on images.
HASHES = {
    0: (
        "38334bce78dcaef59d36a280bb65051140a2856df8b04797dff9a86f5386ccdb",
        "87a31bf542c15b3a8facfa86fe664f9b842e2f04885ff18a5c4b3a3046435125",
    ),
    1: (
        "deb9589623485c39fcd604768363643b18bdc367b157b6ee309549d127b3b431",
        "a3f05505424058eed2ab4fdfe3ff102156e997345c7638fdeff57457e7c19ba5",
    ),
    2: (
        "03cc1e43a2ffa8fc4b16ff7631775c4c3ac8846c2c2c6f5c734caf89286da18f",
        "b16fb9e67f0fa4353bd0137b3800c114f11a897eab9155c317b193267427c1f0",
    ),
}


@pytest.mark.parametrize("seed", HASHES)
def test_same_networks(make_run, make_image_run, tmp_path, seed) -> None:
    rng = np.random.default_rng(seed)
    dense = make_run(rng, [16, 12, 10, 5], head=["scale", "batchnorm", "none"][seed])
    dense.write(tmp_path / "dense")
    make_image_run(rng, head=["scale", "batchnorm"][seed % 2]).write(tmp_path / "images")
    found = [compile_network(import_model(read_model(tmp_path / name))) for name in ("dense", "images")]
    assert tuple(network.content_hash for network in found) == HASHES[seed]
