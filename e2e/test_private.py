"""The data folder: for its user alone, for one server at a time, and with keys that are not replaced without a word."""

import os
import stat
from pathlib import Path

import pytest
import requests

from polling import wait_for
from server import Server


class Careless(Server):
    """A server whose files everybody could read and write, if it did not see to it."""

    def command(self, address: str) -> list:
        return ["sh", "-c", 'umask 000 && exec "$@"', "sh", *super().command(address)]


def test_nobody_else_can_read_what_a_server_keeps(program, tmp_path):
    templates = slow_template(tmp_path)
    with Careless(program, tmp_path / "data", "--section-rows", "1000", templates=templates) as server:
        upload = requests.post(f"{server.url}/uploads", json={"content_type": "application/json", "bytes": 2}, timeout=60)
        assert requests.put(upload.json()["url"], data="{}", headers=upload.json()["headers"], timeout=60).status_code == 200
        job = requests.post(f"{server.url}/append_queue", json={"template": "slow", "data": {}}, timeout=60).json()["id"]
        seen = set()
        wait_for(lambda: look(server.data, seen) or server.job(job)["status"] == "completed", "the report", within=120, every=0.02)
        wait_for(lambda: list((server.data / "outbox").glob("*.eml")), "the mail", within=60)
        look(server.data, seen)
    kinds = {path.relative_to(server.data).parts[0] for path in seen if path != server.data}
    assert {"pressrun.db", "pressrun.db-wal", "pressrun.db-shm", "link.key", "webhook.secret", "lock", "objects", "outbox", "work"} <= kinds
    assert any(path.name == f"{job}.pdf" for path in seen) and any(path.suffix == ".eml" for path in seen)
    assert any("pressrun-" in str(path.relative_to(server.data)) for path in seen), "a run's own folder was looked at"


def look(data: Path, seen: set[Path]) -> None:
    """Checks every file and folder there is at the moment."""
    for path in [data, *data.rglob("*")]:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        expected = 0o700 if stat.S_ISDIR(mode) else 0o600
        assert stat.S_IMODE(mode) == expected, f"{path}: {stat.S_IMODE(mode):o}"
        seen.add(path)


def slow_template(folder: Path) -> Path:
    template = folder / "templates/slow"
    template.mkdir(parents=True)
    (template / "main.typ").write_text("#for a in range(300) { for b in range(1000) { let c = a * b } }\nDone.\n")
    return folder / "templates"


def test_a_folder_that_is_there_is_tightened(program, tmp_path):
    server = Server(program, tmp_path / "data")
    with server:
        pass
    for path in [server.data, *server.data.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    with server:
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        check_tightened(server.data)


def check_tightened(data: Path) -> None:
    for name in ["link.key", "webhook.secret", "pressrun.db", "pressrun.db-wal"]:
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name
    for name in ["objects", "objects/reports", "objects/inputs", "objects/uploads", "outbox", "work"]:
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o700, name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user: NOTHING of that was tested")
def test_a_folder_of_another_user_is_named_in_the_log(program, tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    os.chown(data, 12345, 12345)
    with Server(program, data) as server:
        assert stat.S_IMODE(data.stat().st_mode) == 0o755
    assert "other users of this machine may read" in server.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user: NOTHING of that was tested")
@pytest.mark.parametrize("foreign", [["."], [".", "objects"]])
def test_what_a_server_left_in_a_folder_of_another_user_is_tightened(program, tmp_path, foreign):
    server = Server(program, tmp_path / "data")
    with server:
        pass
    for path in [server.data, *server.data.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in foreign:
        os.chown(server.data / name, 12345, 12345)
    with server:
        for name in foreign:
            assert stat.S_IMODE((server.data / name).stat().st_mode) == 0o755
            os.chown(server.data / name, 0, 0)
            (server.data / name).chmod(0o700)
        check_tightened(server.data)


def test_a_second_server_is_refused_whatever_is_deleted_and_under_every_path(program, tmp_path):
    with Server(program, tmp_path / "data") as server:
        (server.data / "lock").unlink()
        link = tmp_path / "link"
        link.symlink_to(server.data, target_is_directory=True)
        for path in [server.data, link]:
            assert "is in use by another pressrun" in Server(program, path, log=tmp_path / "second.log").refuses()
        job = server.queue(1)
        wait_for(lambda: server.job(job)["status"] == "completed", "the report", within=60)


@pytest.mark.parametrize(("name", "loss"), [("link.key", "links"), ("webhook.secret", "receivers")])
@pytest.mark.parametrize("content", ["", "\n"])
def test_an_emptied_key_is_an_error_and_stays_as_it_is(program, tmp_path, name, loss, content):
    server = Server(program, tmp_path / "data")
    with server:
        pass
    key = server.data / name
    key.write_text(content)
    refusal = server.refuses()
    assert name in refusal and "is empty" in refusal and "delete it" in refusal and loss in refusal, refusal
    assert key.read_text() == content
    key.unlink()
    with server:
        assert len(key.read_text()) > 60


@pytest.mark.parametrize("content", ["\ufeff", "k", "0" * 31, "\ufeff" + "0" * 64, "0" * 32 + "\n" + "0" * 32, b"\xff" * 64])
def test_a_damaged_key_of_links_is_an_error_and_stays_as_it_is(program, tmp_path, content):
    server = Server(program, tmp_path / "data")
    with server:
        pass
    key, content = server.data / "link.key", content if isinstance(content, bytes) else content.encode()
    made = key.read_text()
    key.write_bytes(content)
    refusal = server.refuses()
    assert "link.key" in refusal and "is damaged" in refusal and "delete it" in refusal and "links" in refusal, refusal
    assert key.read_bytes() == content
    key.write_text(made + "\n")
    with server:
        pass
