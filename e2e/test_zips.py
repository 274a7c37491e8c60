"""What `make build` ships: what is in the zips, and what they need to run."""

import os
import re
import shutil
import stat
import subprocess
import zipfile

import pytest

from emulated_aws import DIST, FUNCTIONS, ROOT

TYPST_CRATE = re.compile(rb"/typst-(?:eval|library|syntax)-\d")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bootstrap_runs_on_amazon_linux_2023(zips, name, tmp_path):
    with zipfile.ZipFile(zips[name]) as archive:
        entry = archive.getinfo("bootstrap")
        archive.extract(entry, tmp_path)
    assert stat.S_IMODE(entry.external_attr >> 16) == 0o755

    symbols = subprocess.run(["objdump", "-T", tmp_path / "bootstrap"], capture_output=True, text=True, check=True).stdout
    needed = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", symbols)}
    assert needed and max(needed) <= (2, 34)


def test_only_the_processor_contains_typst(zips):
    assert TYPST_CRATE.search(bootstrap(zips["processor"])), "the search must find what it looks for"
    for name in ("listener", "sweeper", "courier"):
        assert not TYPST_CRATE.search(bootstrap(zips[name])), name


def test_each_function_has_the_template_files_it_reads(zips):
    templates = {file.parent.name for file in (ROOT / "templates").glob("*/main.typ")}
    listener, processor, sweeper, courier = (set(zipfile.ZipFile(zips[name]).namelist()) for name in FUNCTIONS)
    assert listener == {"bootstrap"} | {
        f"templates/{template}/{file}"
        for template in templates for file in ("main.typ", "schema.json", "sample.json", "template.json")
        if (ROOT / "templates" / template / file).exists()
    }
    assert {f"templates/{template}/main.typ" for template in templates} <= processor
    assert any(name.startswith("templates/kit/") for name in processor)
    assert sweeper == courier == {"bootstrap"}


def test_packing_again_gives_the_same_bytes(zips, tmp_path):
    """Elsewhere, at another time, and under another umask, as another clone would be."""
    for name, file in zips.items():
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(file) as archive:
            archive.extract("bootstrap", tmp_path / name)
    shutil.copytree(ROOT / "templates", tmp_path / "clone/templates", copy_function=shutil.copyfile)
    (tmp_path / "clone/scripts").mkdir()
    script = shutil.copy(ROOT / "scripts/package", tmp_path / "clone/scripts")
    for file in (tmp_path / "clone/templates").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            os.utime(file, (10**9, 10**9))
    for clone, packer, dist in ((ROOT, ROOT / "scripts/package", "dist"), (tmp_path / "clone", script, "dist-of-the-clone")):
        subprocess.run([packer, tmp_path, tmp_path / dist], cwd=clone, check=True, capture_output=True)
    for file in [*zips.values(), DIST / "architecture"]:
        here, there = ((tmp_path / dist / file.name).read_bytes() for dist in ("dist", "dist-of-the-clone"))
        assert here == there == file.read_bytes(), file.name


def bootstrap(archive) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return opened.read("bootstrap")
