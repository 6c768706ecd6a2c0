"""Lines that break and servers that misbehave: the result is whole and equal, or a sentence says why it cannot be."""

from __future__ import annotations

import os
import threading
import time
import zipfile

import pytest

from engine.acquisition.directory import TAIL
from engine.errors import Cancelled, InputError, OutputError
from tests.engine.acquisition.flair_archives import files


def size(server, name="a.zip"):
    return (server.folder / name).stat().st_size


def test_dropped_every_few_bytes(fetch, server, archive, tmp_path, recorder):
    content = archive()
    server.drop_every = 20_000
    result = fetch()
    assert files(tmp_path / "out") == content
    assert server.drops > 40
    assert result["breaks"] >= server.drops
    assert any(line.startswith("127.0.0.1: the connection broke off; going on at") for line in recorder.logs)
    # The end of the archive is read for its list and, as far as members lie there, with these again.
    assert server.total <= size(server) + TAIL + len(server.requests)


def test_a_server_that_sends_whole_files_only(fetch, server, archive, tmp_path, recorder):
    content = archive()
    server.ranges = False
    result = fetch()
    assert files(tmp_path / "out") == content
    assert any("as a whole only" in line for line in recorder.warnings)
    assert result["files"] == len(content)
    assert not any((tmp_path / "out" / ".download" / "a.zip").glob("*.partial"))
    # What it holds is known now: nothing is sent again.
    server.forget()
    assert fetch()["fetched"] == 0
    assert server.total <= 128 * 1024
    (tmp_path / "out" / min(content)).unlink()
    fetch()
    assert files(tmp_path / "out") == content


def test_whole_files_that_break_begin_again(fetch, server, archive, tmp_path, recorder):
    content = archive()
    server.ranges = False
    server.cut["a.zip"] = 400_000

    def mend():
        while server.drops < 2:
            time.sleep(0.005)
        server.cut.clear()

    threading.Thread(target=mend, daemon=True).start()
    fetch()
    assert files(tmp_path / "out") == content
    assert any("from the beginning" in line for line in recorder.logs)


def test_ranges_that_are_promised_and_not_kept(fetch, server, archive, tmp_path, monkeypatch, recorder):
    content = archive()
    send = type(server).lifetime
    seen = []

    def lifetime(self):
        seen.append(1)
        if len(seen) == 2:
            self.ranges = False
        return send(self)

    monkeypatch.setattr(type(server), "lifetime", lifetime)
    fetch()
    assert files(tmp_path / "out") == content
    assert any("as a whole only" in line for line in recorder.warnings)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait(fetch, server, archive, tmp_path, status):
    content = archive()
    server.answers = [(status, {"Retry-After": "1"}), (status, {})]
    began = time.monotonic()
    assert fetch()["breaks"] == 2
    assert time.monotonic() - began >= 1
    assert files(tmp_path / "out") == content


def test_a_time_to_wait_for_as_a_date(fetch, server, archive):
    archive()
    server.answers = [(503, {"Retry-After": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))})]
    began = time.monotonic()
    fetch()
    assert 0.5 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "text"), [(404, "has no file"), (410, "has no file"), (403, "refuses"), (401, "account"), (407, "proxy")]
)
def test_answers_that_are_final(fetch, server, archive, status, text):
    archive()
    server.refused["a.zip"] = status
    with pytest.raises(InputError) as caught:
        fetch()
    assert text in str(caught.value)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there(fetch, server, archive, tmp_path):
    archive()
    server.__exit__()
    with pytest.raises(InputError, match=r"127.0.0.1 cannot be reached") as caught:
        fetch()
    assert "the same command goes on" in caught.value.hint


def test_a_name_that_does_not_exist(fetch):
    with pytest.raises(InputError, match=r"cannot be reached: its name cannot be looked up\.") as caught:
        fetch("http://nowhere.invalid/a.zip")
    assert "Errno" not in str(caught.value)


def test_sent_on_to_another_address(fetch, server, archive, tmp_path):
    content = archive()
    server.moved["old.zip"] = "/a.zip?signed=1"
    fetch("old.zip")
    assert files(tmp_path / "out") == content


def test_sent_round_in_a_circle(fetch, server):
    server.moved["a.zip"] = "/a.zip"
    with pytest.raises(InputError, match="in a circle"):
        fetch()


def test_bytes_that_arrive_wrong_once_are_fetched_again(fetch, server, archive, tmp_path):
    content = archive()
    server.damaged[("a.zip", 5_000)] = [255, 1]
    result = fetch()
    assert files(tmp_path / "out") == content
    assert result["fetched"] < size(server) + 200_000


def test_bytes_that_are_always_wrong_are_named_and_the_rest_is_kept(fetch, server, archive, tmp_path):
    content = archive()
    server.damaged[("a.zip", 5_000)] = [255, 99]
    with pytest.raises(InputError) as caught:
        fetch()
    assert "1 file arrives damaged" in caught.value.message
    assert min(content) in caught.value.message
    assert files(tmp_path / "out") == {name: part for name, part in content.items() if name != min(content)}
    server.damaged.clear()
    server.forget()
    fetch()
    assert files(tmp_path / "out") == content
    assert server.total < 3 * TAIL


def test_a_file_that_changes_between_two_runs(fetch, server, archive, tmp_path, recorder):
    archive(seed=1)
    cancelled = threading.Event()
    server.rate = 400_000
    threading.Timer(0.6, cancelled.set).start()
    with pytest.raises(Cancelled, match="goes on from there"):
        fetch(cancelled=cancelled)
    server.rate = 0
    content = archive(seed=2)
    fetch()
    assert files(tmp_path / "out") == content
    assert any("has changed on the server since it was begun" in line for line in recorder.warnings)


def test_a_file_that_changes_while_it_is_fetched(fetch, server, archive, tmp_path, recorder):
    archive(seed=1)
    server.rate = 400_000
    server.drop_every = 100_000
    made = []
    threading.Timer(0.7, lambda: made.append(archive(seed=2))).start()
    fetch()
    assert files(tmp_path / "out") == made[0]
    assert any("has changed on the server while it was fetched" in line for line in recorder.warnings)


def test_a_change_that_keeps_the_content_costs_nothing_but_a_look(fetch, server, archive, tmp_path):
    content = archive()
    fetch()
    server.versions["a.zip"] = '"other"'
    server.forget()
    fetch()
    assert files(tmp_path / "out") == content
    assert server.total <= TAIL + 1


def test_a_server_that_does_not_understand_if_range(fetch, server, archive, tmp_path, recorder):
    content = archive()
    server.if_range = False
    server.drop_every = 100_000
    fetch()
    assert files(tmp_path / "out") == content
    assert recorder.warnings == []
    (tmp_path / "out" / min(content)).unlink()
    server.versions["a.zip"] = '"other"'
    fetch()
    assert files(tmp_path / "out") == content


def test_weak_versions_and_none(fetch, server, archive, tmp_path):
    content = archive()
    server.versions["a.zip"] = 'W/"weak"'
    server.drop_every = 50_000
    fetch()
    assert files(tmp_path / "out") == content
    server.etags = False
    (tmp_path / "out" / min(content)).unlink()
    fetch()
    assert files(tmp_path / "out") == content


def test_an_archive_that_ends_too_early(fetch, server, archive):
    archive()
    path = server.folder / "a.zip"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="is no ZIP file, or its end is damaged"):
        fetch()
    path.write_bytes(b"<html>Maintenance</html>")
    with pytest.raises(InputError, match="is no ZIP file"):
        fetch()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty on the server"):
        fetch()


def test_a_size_that_is_not_the_published_one_is_said(fetch, server, archive, recorder):
    archive()
    fetch(source={"size": "50.7 GB"})
    assert any("50.7 GB were published" in line for line in recorder.warnings)


def test_cancelled_at_once_and_gone_on_with(fetch, server, archive, tmp_path):
    content = archive(sizes=(50_000,) * 30)
    server.rate = 200_000
    cancelled = threading.Event()
    threading.Timer(0.8, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        fetch(cancelled=cancelled)
    assert time.monotonic() - began < 2
    came = server.total
    assert came > 150_000
    server.rate = 0
    fetch()
    assert files(tmp_path / "out") == content
    assert server.total < size(server) + TAIL + 200_000


def test_too_little_room_is_said_before_anything_is_fetched(fetch, server, archive, monkeypatch, tmp_path):
    archive()
    usage = type("Usage", (), {"free": 100_000})
    monkeypatch.setattr("engine.acquisition.download.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"are needed, but only 100 kB are free"):
        fetch()
    assert server.total <= TAIL + 1


def test_a_disk_that_fills_up(fetch, server, archive, monkeypatch, tmp_path):
    content = archive()
    written = []

    def write(stream, chunk):
        written.append(len(chunk))
        if sum(written) > 300_000:
            raise OSError(28, os.strerror(28))
        stream(chunk)

    monkeypatch.setattr("engine.acquisition.pieces.write_all", write)
    with pytest.raises(OutputError, match="disk is full"):
        fetch()
    monkeypatch.undo()
    fetch()
    assert files(tmp_path / "out") == content


def test_two_at_a_time_into_one_folder(fetch, server, archive):
    archive()
    server.rate = 300_000
    failed = []

    def other():
        time.sleep(0.3)
        try:
            fetch()
        except OutputError as error:
            failed.append(error.message)

    thread = threading.Thread(target=other)
    thread.start()
    fetch()
    thread.join()
    assert failed
    assert "Another run" in failed[0]


def test_a_published_checksum(fetch, server, archive, tmp_path):
    import hashlib

    content = archive()
    digest = hashlib.sha256((server.folder / "a.zip").read_bytes()).hexdigest()
    fetch(source={"sha256": digest}, keep_archives=True)
    assert (tmp_path / "out" / "a.zip").read_bytes() == (server.folder / "a.zip").read_bytes()
    got = files(tmp_path / "out")
    del got["a.zip"]
    assert got == content


def test_a_published_checksum_that_differs(fetch, server, archive, tmp_path):
    archive()
    with pytest.raises(InputError, match="was published"):
        fetch(source={"sha256": "0" * 64}, keep_archives=True)
    assert files(tmp_path / "out") == {}


def test_what_links_lead_out_of_the_folder_is_not_written_there(fetch, archive, tmp_path):
    archive()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="Remove the link"):
        fetch()
    assert not any(path.is_file() for path in (tmp_path / "elsewhere").rglob("*"))


def test_names_that_lead_out_of_the_folder(fetch, served, tmp_path):
    with zipfile.ZipFile(served / "a.zip", "w") as file:
        file.writestr("a/good.tif", b"x" * 100)
        file.writestr("../evil.tif", b"x" * 100)
    with pytest.raises(InputError, match="leads out of the folder"):
        fetch()
    assert not (tmp_path / "evil.tif").exists()
    assert files(tmp_path / "out") == {}


def test_room_for_what_has_come_is_not_asked_for_again(fetch, server, archive, tmp_path, monkeypatch):
    from engine.acquisition import pieces, whole_files

    content = archive(sizes=(50_000,) * 40)
    monkeypatch.setattr(whole_files, "cut", lambda size: pieces.cut(size, 100_000))
    server.rate = 300_000
    cancelled = threading.Event()

    def stop():
        while server.total < 0.7 * size(server):
            time.sleep(0.005)
        cancelled.set()

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Cancelled):
        fetch(cancelled=cancelled, keep_archives=True)
    server.rate = 0
    # Its content, a second copy of pieces on their way, and the rest of the archive rather than all of it.
    free = sum(map(len, content.values())) + int(1.6 * size(server))
    monkeypatch.setattr("engine.acquisition.download.shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    with pytest.raises(OutputError, match="are needed"):
        fetch(keep_archives=True, output=str(tmp_path / "other"))
    fetch(keep_archives=True)
    got = files(tmp_path / "out")
    del got["a.zip"]
    assert got == content
