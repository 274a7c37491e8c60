"""What is in use, and how it is set back: the aliases of the functions, and the examples that others start from."""

import shutil
import subprocess
import sys

from emulated_aws import DIST, FUNCTIONS, ROOT, aws

LISTED = FUNCTIONS + ("websocket",)


def test_a_release_is_rolled_back_and_forward_again(deployment, invoice):
    names = [f"pressrun-e2e-{function}" for function in LISTED]
    before = in_use(names)
    deployment.terraform("apply", "-input=false", "-auto-approve", "-var", "release=v9.9.9")
    try:
        after = in_use(names)
        assert all(after[name] != before[name] for name in names), (before, after)
        assert releases(deployment).stdout.splitlines() == ["unreleased", "v9.9.9  in use"]

        answer = rollback(deployment, "unreleased")
        assert answer.returncode == 0, answer.stderr
        assert in_use(names) == before
        assert "v9.9.9  in use" not in releases(deployment).stdout
        assert deployment.ended(deployment.queue("invoice", invoice))["status"] == "completed"

        again = rollback(deployment, "unreleased")
        assert again.returncode == 0 and again.stdout.count("already") == len(names)

        unknown = rollback(deployment, "v0.0.0")
        assert unknown.returncode == 1 and "there is no version of" in unknown.stderr and in_use(names) == before

        # The next apply goes forward again.
        deployment.terraform("apply", "-input=false", "-auto-approve", "-var", "release=v9.9.9")
        assert in_use(names) == after
    finally:
        deployment.terraform("apply", "-input=false", "-auto-approve")


def test_the_complete_example_deploys_twice_side_by_side(provider, zips, tmp_path):
    """Applies it, and sees that its two deployments share nothing; the minimal one is planned."""
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "dist").mkdir()
    for name in FUNCTIONS:
        shutil.copy(DIST / f"{name}.zip", tmp_path / "dist")

    minimal, complete = tmp_path / "examples/minimal", tmp_path / "examples/complete"
    terraform(minimal, "init", "-input=false")
    assert "No changes" not in terraform(minimal, "plan", "-input=false", "-no-color")
    terraform(complete, "init", "-input=false")
    terraform(complete, "apply", "-input=false", "-auto-approve")
    try:
        functions = aws("lambda", "eu-central-1").get_paginator("list_functions").paginate().build_full_result()["Functions"]
        made = {function["FunctionName"] for function in functions}
        assert {f"reports-{name}" for name in LISTED} | {f"reports-staging-{name}" for name in FUNCTIONS} <= made
    finally:
        # The first has no force_destroy, and nothing in its bucket.
        terraform(complete, "destroy", "-input=false", "-auto-approve")


def in_use(names: list[str]) -> dict[str, str]:
    return {name: aws("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in names}


def releases(deployment) -> subprocess.CompletedProcess:
    answer = rollback(deployment)
    assert answer.returncode == 0, answer.stderr
    return answer


def rollback(deployment, *release: str) -> subprocess.CompletedProcess:
    """`make rollback` as it would run in the folder that was deployed from."""
    scripts = deployment.folder / "scripts"
    scripts.mkdir(exist_ok=True)
    script = shutil.copy(ROOT / "scripts/rollback", scripts)
    return subprocess.run([sys.executable, script, *release], capture_output=True, text=True, timeout=300)


def terraform(folder, *arguments: str) -> str:
    answer = subprocess.run(["terraform", *arguments], cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, f"{' '.join(arguments)}\n{answer.stdout}\n{answer.stderr}"
    return answer.stdout
