"""The three listeners: how each is started as a Lambda function, and how large its package is."""

import io
import json
import os
import shutil
import site
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.settings import NODE_MODULES, PYTHON, TEMPLATES, Settings
from bench.tools import installed, said

HERE = Path(__file__).resolve().parent
# What boto3 brings along; Lambda's Python has it built in, in whatever version.
BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


@dataclass(frozen=True)
class Function:
    """One listener."""

    name: str
    version: str
    command: list
    folder: Path
    env: dict[str, str]
    # Of the zip to upload, and of one that brings its own SDK rather than Lambda's.
    zip_bytes: int
    zip_with_sdk_bytes: int


def all_functions(settings: Settings, environment: dict[str, str]) -> list[Function]:
    """Ours first. Those whose runtime or SDK is missing are left out."""
    made = [ours(settings, environment), python(environment), node(environment)]
    return [function for function in made if function]


def ours(settings: Settings, environment: dict[str, str]) -> Function:
    folder = settings.work / "listener"
    with zipfile.ZipFile(settings.listener_zip) as archive:
        archive.extractall(folder)
    (folder / "bootstrap").chmod(0o755)
    shutil.copytree(TEMPLATES / "invoice", folder / "templates/invoice", dirs_exist_ok=True)
    size = settings.listener_zip.stat().st_size
    return Function("Pressrun", "release build", [folder / "bootstrap"], folder, environment, size, size)


def python(environment: dict[str, str]) -> Function | None:
    versions = [installed("boto3"), installed("awslambdaric")]
    if None in versions:
        return None
    handler, packages = HERE / "python", Path(site.getsitepackages()[0])
    code = [handler / "handler.py"]
    sdk = [file for name in BOTO3 for file in files(packages / name)]
    return Function(
        "Python", ", ".join([f"{said(PYTHON, '--version')}", *versions]), [PYTHON, "-m", "awslambdaric", "handler.handle"],
        handler, environment, zipped(code, handler), zipped(code, handler) + zipped(sdk, packages),
    )


def node(environment: dict[str, str]) -> Function | None:
    program = shutil.which("node")
    if program is None or not NODE_MODULES.is_dir():
        return None
    handler = HERE / "node"
    code = [handler / "handler.js"]
    return Function(
        "Node", f"Node {said(program, '--version')}, AWS SDK {sdk_version()}", [program, handler / "runtime.js"], handler,
        environment | {"NODE_PATH": str(NODE_MODULES)}, zipped(code, handler),
        zipped(code, handler) + zipped(files(NODE_MODULES), NODE_MODULES),
    )


def sdk_version() -> str:
    return json.loads((NODE_MODULES / "@aws-sdk/client-sqs/package.json").read_text())["version"]


def files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]


def zipped(paths: Iterable[Path], root: Path) -> int:
    """Bytes of a zip of these files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in paths:
            target.writestr(os.path.relpath(path, root), path.read_bytes())
    return len(archive.getvalue())
