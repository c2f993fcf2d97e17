"""What training writes, the compiler folds, and what PyTorch computes, the golden model computes but for rounding."""

import pytest

from signfold.sw.compile import compile_run

pytest.importorskip("torch", reason="training needs signfold[train]")
pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")

CASES = {
    "bits": ("8c3p1,16c3,p2,32", {}),
    "two bits, pools after": ("8c3p1,p2,16c3p1,a2,32", {"activations": 2, "weights": "2", "pool": "after"}),
    "ternary, signed codes": ("8c3p1,a2,16c3,32", {"activations": 3, "signed": True, "weights": "ternary"}),
    "depthwise, global pool": ("8c3p1,d3s2p1,16c3p1,gap", {"activations": 2, "head": "batchnorm"}),
    "pads of a code": ("8c3p1,p3s2p1,16c3p1,p2,32", {"pad": "low", "weights": "3"}),
    "dense on pixels": ("32,24", {"activations": 2, "first": "codes", "weights": "4"}),
}


@pytest.mark.parametrize("case", CASES)
def test_trained_networks_fold(case, tmp_path) -> None:
    from signfold.sw.data import load
    from signfold.sw.train.loop import train
    from signfold.sw.train.options import TrainingOptions

    topology, options = CASES[case]
    train(TrainingOptions("digits", topology, epochs=2, batch=64, lr=0.02, **options), load("digits"), tmp_path / "run")
    compilation = compile_run(tmp_path / "run", sample=60)
    compared = compilation.report["float_model"]
    for entry in (compared["classes"], *compared["codes"]):
        assert entry["explained"] == entry["differing"], entry
    accuracy = compilation.network.metadata["accuracy"]
    assert abs(accuracy["integer"] - accuracy["float"]) <= compared["classes"]["differing"] / accuracy["frames"]
