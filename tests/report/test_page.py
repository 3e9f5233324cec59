"""The postmortem in a browser: nothing on the console, nothing on the network, whatever the case holds."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import mixcni
from mixcni.report.html import POLICY
from tests.cases import CAPTURES, FOUNDING
from tests.report.hostile import hostile_report
from tests.report.test_hostile import Elements

pytestmark = pytest.mark.browser
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-logging=stderr", "--v=0")


def browse(page: Path, profile: Path, *more: str) -> tuple[str, list[str]]:
    """(the page as the browser has it after its script ran, lines on its console)."""
    done = subprocess.run(
        ["chromium", *FLAGS, f"--user-data-dir={profile}", *more, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "HOME": str(profile)},
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """(address of a server, what was asked of it)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_page_runs_its_script_and_says_nothing(tmp_path: Path) -> None:
    page = mixcni.diagnose(CAPTURES / FOUNDING).save(tmp_path / "x.html")
    dom, console = browse(page, tmp_path / "profile")
    assert console == []
    buttons = re.findall(r"<button[^>]*>", dom)
    assert not [button for button in buttons if "hidden" in button]
    assert len(buttons) == page.read_text().count("<button")


def test_hostile_names_load_nothing_and_run_nothing(tmp_path: Path) -> None:
    with listening() as (address, asked):
        page = hostile_report(tmp_path, address).save(tmp_path / "x.html")
        assert address in page.read_text()
        dom, console = browse(page, tmp_path / "profile")
    assert (console, asked) == ([], [])
    assert "alert(1)" in "".join(Elements(dom).texts)


def test_the_policy_holds_where_escaping_would_fail(tmp_path: Path) -> None:
    """The same page with markup put in as it is: the browser refuses to load and to run it, and says so."""
    with listening() as (address, asked):
        evil = "".join(
            (
                "<script>document.title='run'</script><p style='color:red'>x</p>",
                f"<img src={address}i><link rel=stylesheet href={address}s><iframe src={address}f></iframe>",
                f"<style>body{{background:url({address}b)}}</style><script src={address}j></script>",
            )
        )
        page = mixcni.diagnose(CAPTURES / FOUNDING).save(tmp_path / "x.html")
        text = page.read_text()
        page.write_text(text.replace("<main>", f"<main>{evil}"))
        dom, console = browse(page, tmp_path / "profile")
        assert asked == []
        assert len(console) >= 6
        assert "<title>run" not in dom
        page.write_text(re.sub(r"<meta http-equiv[^>]*>", "", text).replace("<main>", f"<main>{evil}"))
        dom, _ = browse(page, tmp_path / "profile")
        assert {"/i", "/s", "/b", "/j"} <= set(asked)
        assert "<title>run" in dom


def test_the_page_has_a_heading_for_every_part_and_a_name_for_every_figure(tmp_path: Path) -> None:
    elements = Elements(mixcni.diagnose(CAPTURES / FOUNDING).save(tmp_path / "x.html").read_text()).found
    labelled = [attributes["aria-labelledby"] for tag, attributes in elements if tag == "section"]
    assert set(labelled) <= {attributes.get("id") for _, attributes in elements}
    assert all(attributes.get("aria-label") for tag, attributes in elements if tag == "svg")
    assert [tag for tag, _ in elements].count("h1") == 1
    assert "'unsafe" not in POLICY


def test_no_part_is_wider_than_a_phone(tmp_path: Path) -> None:
    page = mixcni.diagnose(CAPTURES / FOUNDING).save(tmp_path / "x.html")
    probe = "document.title = JSON.stringify([document.documentElement.scrollWidth, innerWidth])"
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text()).replace("</body>", f"<script>{probe}</script></body>")
    page.write_text(text)
    dom, _ = browse(page, tmp_path / "profile", "--window-size=500,900")
    wide, room = json.loads(re.findall(r"<title>(\[.*?\])</title>", dom)[0])
    assert wide <= room
