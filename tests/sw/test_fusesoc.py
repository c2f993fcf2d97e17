"""The core file, read and run by FuseSoC itself."""

import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_network import random_network, random_plan
from signfold.sim.verilator import environment
from signfold.sw.artefacts import load_artefacts
from signfold.sw.cli.app import app
from signfold.sw.fusesoc import core_name
from signfold.sw.generate import generate

pytest.importorskip("fusesoc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that the command has written, with the wrapper and the core file."""
    out = tmp_path_factory.mktemp("core")
    random_network(np.random.default_rng(2), depth=2, widest=16).save(out / "net.safetensors")
    arguments = ["generate", str(out / "net.safetensors"), "--out", str(out / "cores")]
    run = CliRunner().invoke(app, [*arguments, "--wrapper", "axi", "--fusesoc"])
    assert run.exit_code == 0, run.output
    assert "wrapper   accelerator_axi.v, module accelerator_axi\nfusesoc   accelerator.core" in run.stdout
    return out / "cores"


def fusesoc(folder, *arguments, **variables):
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(folder), *arguments]
    env = {**os.environ, **environment(), "XDG_DATA_HOME": str(folder.parent), "XDG_CONFIG_HOME": str(folder.parent)}
    done = subprocess.run(
        command, cwd=folder.parent, env=env | variables, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def name(folder):
    return core_name("accelerator_axi", load_artefacts(folder).network.content_hash)


def test_targets(folder):
    text = fusesoc(folder, "core", "show", name(folder))
    assert all(f"\n{target} " in text for target in ("default", "lint", "synth", "vivado"))


@pytest.mark.parametrize("flags", [(), ("--SIGNFOLD_MEM",)], ids=["text", "files"])
def test_lint(folder, flags):
    """Verilator finds nothing, and the images lie where the tools run."""
    text = fusesoc(folder, "run", "--build-root", "built", "--target", "lint", name(folder), *flags)
    assert "%Warning" not in text and "verilator -f" in text
    images = {path.name for path in folder.glob("*.mem")}
    (built,) = {path.parent for path in (folder.parent / "built").rglob("Makefile")}
    assert images <= {path.name for path in built.iterdir()}
    assert ("-DSIGNFOLD_MEM=1" in next(built.glob("*.vc")).read_text()) == bool(flags)


@pytest.mark.parametrize("target", ["synth", "vivado"])
def test_projects_of_synthesis(folder, target):
    """Set up, not run: the wheels' Yosys has no Tcl, which its project for Yosys is written in, and Vivado is big."""
    fusesoc(folder, "run", "--setup", "--build-root", target, "--target", target, name(folder), "--SIGNFOLD_MEM")
    scripts = "".join(path.read_text() for path in (folder.parent / target).rglob("*.tcl"))
    assert "accelerator.v" in scripts and "accelerator_axi" in scripts and "SIGNFOLD_MEM" in scripts
    assert ("synth_xilinx" if target == "synth" else "xc7a35ticsg324-1L") in scripts


def test_nothing_changes_without_the_options(folder, tmp_path):
    """The accelerator is the same text, and its folder holds no file more."""
    network = load_artefacts(folder).network
    plain = generate(network, random_plan(np.random.default_rng(3), network), tmp_path / "plain")
    more = generate(
        network, random_plan(np.random.default_rng(3), network), tmp_path / "more", wrapper="axi", fusesoc=True
    )
    assert plain.verilog.read_bytes() == more.verilog.read_bytes()
    names = [{path.name for path in artefacts.folder.iterdir()} for artefacts in (plain, more)]
    assert names[1] - names[0] == {"accelerator_axi.v", "accelerator.core"}
    assert "wrapper" not in plain.sidecar


def test_unknown_wrapper(folder, tmp_path):
    network = load_artefacts(folder).network
    with pytest.raises(ValueError, match=r"^wrapper must be None or one of axi, not 'wishbone'$"):
        generate(network, random_plan(np.random.default_rng(3), network), tmp_path / "x", wrapper="wishbone")
    run = CliRunner().invoke(app, ["generate", str(folder / "network.safetensors"), "--wrapper", "wishbone"])
    assert run.exit_code == 2 and "--wrapper must be one of axi" in run.output
