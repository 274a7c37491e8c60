"""Fixtures shared by the end-to-end tests."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from disk import Disk
from emulated_aws import DIST, FUNCTIONS, ROOT, Deployment, Inbox, emulator
from typist import Typist


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what makes thousands of documents, unless it is asked for."""
    if "many" in (config.option.markexpr or ""):
        return
    many = [item for item in items if item.get_closest_marker("many")]
    config.hook.pytest_deselected(items=many)
    items[:] = [item for item in items if item not in many]


@pytest.fixture(scope="session")
def zips() -> dict[str, Path]:
    """The Lambda zips that `make build` made."""
    files = {name: DIST / f"{name}.zip" for name in FUNCTIONS}
    missing = [str(file) for file in files.values() if not file.exists()]
    assert not missing, f"run `make build` first: there is no {' and no '.join(missing)}"
    return files


@pytest.fixture(scope="session")
def provider(tmp_path_factory) -> None:
    """Terraform, and the AWS provider from its registry or a mirror."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH: NOTHING of the AWS deployment was tested")
    folder = tmp_path_factory.mktemp("provider")
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, folder)
    command = ["terraform", "init", "-input=false", "-no-color"]
    init = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    # What is released is not to slip through because a network was down.
    if "GITHUB_ACTIONS" not in os.environ and "could not connect to" in " ".join(init.stderr.split()):
        pytest.skip(f"the AWS provider cannot be had: NOTHING of the AWS deployment was tested\n{init.stderr}")


@pytest.fixture(scope="session")
def deployment(provider, zips, tmp_path_factory) -> Deployment:
    """The root module with the real zips, applied to the emulator once for all tests."""
    deployment = Deployment(tmp_path_factory.mktemp("deployment"), emulator())
    deployment.apply()
    return deployment


@pytest.fixture(scope="session")
def inbox(deployment) -> Inbox:
    """Every announcement that the deployment makes from now on."""
    return Inbox(deployment.outputs["topic_arn"])


@pytest.fixture
def invoice() -> dict:
    """The invoice template's sample."""
    return json.loads((ROOT / "templates/invoice/sample.json").read_text())


@pytest.fixture(scope="session")
def program() -> Path:
    """The `pressrun` executable: PRESSRUN_PROGRAM, or one with the dependencies that `cargo test --workspace` has built."""
    if "PRESSRUN_PROGRAM" in os.environ:
        return Path(os.environ["PRESSRUN_PROGRAM"])
    # With a test, as dependencies have other features without.
    what = ["--workspace", "--bin", "pressrun", "--test", "command_line"]
    command = ["cargo", "build", *what, "--message-format=json-render-diagnostics"]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in answer.stdout.splitlines():
        artifact = json.loads(line)
        if artifact.get("executable") and artifact["target"]["name"] == "pressrun":
            return Path(artifact["executable"])
    raise AssertionError("cargo named no executable called pressrun")


@pytest.fixture(scope="module")
def typist(program) -> Iterator[Typist]:
    """A child that typesets."""
    typist = Typist(program)
    yield typist
    typist.close()


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder]
        subprocess.run(mount, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"may not mount a file system here, so NO full or read-only disk was tested: {error}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)
