"""Logs, metrics, HTTPS and a stop that waits for requests but not for streams."""

import datetime as dt
import http.client
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api import logs, rendering
from api.cli import main

GRIDMAP = Path(sys.executable).with_name("gridmap")


def value(text, name, **labels):
    """The number of a sample in Prometheus' text."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")).items():
            return float(found[2])
    return None


def test_requests_are_counted_by_pattern_and_posts_by_what_was_stored(app, event):
    caller, admin = app.as_("dispatcher"), app.as_("admin")

    def counted(name, **labels):
        return value(admin.get("/metrics").text, name, **labels) or 0

    before = counted("gridmap_events_stored_total")
    one = {"method": "GET", "route": "/api/events/{event}", "status": "200"}
    missing = {**one, "status": "404"}
    seen, unseen = counted("gridmap_requests_total", **one), counted("gridmap_requests_total", **missing)
    posted = caller.post("/api/events", json=event()).json()
    caller.post("/api/events", json=event())
    caller.get(f"/api/events/{posted['id']}")
    caller.get("/api/events/77777777")
    caller.get("/api/locate?lon=112&lat=30")
    caller.get("/nowhere/at/all")
    assert counted("gridmap_events_stored_total") == before + 1
    assert counted("gridmap_requests_total", **one) == seen + 1
    assert counted("gridmap_requests_total", **missing) == unseen + 1
    for route in ("/api/events", "/api/locate"):
        assert counted("gridmap_request_seconds_count", route=route) >= 1
    text = admin.get("/metrics").text
    assert "nowhere" not in text
    assert f'/api/events/{posted["id"]}"' not in text
    assert value(text, "gridmap_edition") == app.service.memory.snapshot.edition
    assert value(text, "gridmap_index_bytes") > 0


def test_metrics_are_for_admins_where_the_request_comes_from_elsewhere(app):
    assert app.client.get("/metrics").status_code == 401  # the test client has no address of this machine
    assert app.as_("dispatcher").get("/metrics").status_code == 403
    assert app.as_("admin").get("/metrics").headers["content-type"].startswith("text/plain")


@pytest.fixture
def root_logger():
    """Puts logging back as it was."""
    root = logging.getLogger()
    kept = (root.level, root.handlers[:])
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the client's own words are not the service's
    yield root
    root.setLevel(kept[0])
    root.handlers[:] = kept[1]
    logs.ACCESS.setLevel(logging.NOTSET)


def test_json_logs_name_the_request_and_nothing_that_it_carried(app, event, root_logger, capsys):
    logs.configure("json")
    token = app.token("dispatcher")
    answer = app.as_("dispatcher").post(
        "/api/events?lang=en", json=event(title="隐私标题", contact="13800000000")
    )
    app.client.post("/api/token", data={"username": "admin", "password": "wrong wrong wrong"})
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    (line,) = [each for each in lines if each.get("path") == "/api/events"]
    assert line["request"] == answer.headers["x-request-id"]
    assert (line["method"], line["status"], line["actor"]) == ("POST", 201, "dispatcher")
    assert line["ms"] > 0
    assert dt.datetime.fromisoformat(line["at"]).tzinfo is not None
    for secret in (token, "隐私", "13800000000", "wrong wrong", "lang="):
        assert secret not in written


def test_text_logs_are_for_people_and_name_the_request_of_a_warning(app, root_logger, capsys):
    logs.configure("text")
    app.as_("dispatcher").get("/api/me")
    assert capsys.readouterr().err == ""
    logs.request_number.set("abc123")
    logging.getLogger("gridmap.api").warning("odd")
    assert re.search(r"WARNING gridmap.api odd \[abc123\]$", capsys.readouterr().err.strip())
    logs.request_number.set("")


def test_what_fails_in_the_database_is_logged_without_the_row(app, root_logger, capsys):
    logs.configure("json")
    secret = "隐私标题"
    for statement, values in (
        ("INSERT INTO account (name, display_name) VALUES (NULL, :text)", {"text": secret}),
        ("SELECT CAST(:text AS integer)", {"text": secret}),
        ("SELECT 1 FROM nowhere WHERE name = :text", {"text": secret}),
        ("SELECT :text", {"text": secret + "\x00"}),
    ):
        try:
            with app.database.writer() as session:
                session.execute(sa.text(statement), values)
        except Exception:
            logging.getLogger("gridmap.api").exception("request failed")
        else:
            pytest.fail(statement)
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert len([line for line in lines if line["message"] == "request failed"]) == 4
    assert "sqlalchemy" in written, "what it was is said"
    assert 'relation \\"nowhere\\" does not exist' in written
    assert "test_operation.py" in written, "and where"
    assert secret not in json.dumps(lines, ensure_ascii=False)


def test_every_answer_has_the_security_headers(app, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("api.routes.session.home", fail)
    admin = app.as_("admin")
    static = re.search(r'src="(/static/[^"]+)"', app.client.get("/login").text).group(1)
    seen = {}
    for path, caller in (
        ("/login", app.client),
        ("/", app.client),
        (static, app.client),
        ("/static/nothing", app.client),
        ("/nowhere", app.client),
        ("/api/nowhere", app.client),
        ("/api/nowhere", admin),
        ("/api/areas?limit=x", admin),
        ("/api/areas", admin),
        ("/api/me", admin),
        ("/api/tiles/grids/13/0/0.mvt", admin),
        ("/api/openapi.json", app.client),
        ("/healthz", app.client),
        ("/metrics", app.client),
    ):
        answer = caller.get(path, follow_redirects=False)
        seen[answer.status_code] = path
        headers = answer.headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy, path
        assert "unsafe" not in policy, path
        for part in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'self'", "form-action 'self'"):
            assert part in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in headers, "not over plain HTTP"
        assert "server" not in headers
        if not path.startswith(("/static", "/healthz", "/metrics", "/nowhere")) and answer.status_code == 200:
            assert headers["cache-control"] == "no-store", path
    assert set(seen) >= {200, 204, 303, 401, 404, 422, 500}
    secure = app.client.get("https://127.0.0.1/nowhere").headers
    assert secure["strict-transport-security"] == "max-age=31536000"


PAPER = {"plan_map.html", "plan_page.html"}


def test_pages_carry_no_script_or_style_of_their_own():
    for template in (Path(rendering.__file__).parent / "pages" / "templates").glob("*.html"):
        text = template.read_text("utf-8")
        if template.name in PAPER:  # to be printed: one style sheet inside, and a sandbox that runs nothing
            assert text.count("<style>") == 1
            text = text.replace("<style>", "")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", text), (
            template.name
        )


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def running(url, home, *options, context=None, **env):
    """A service of its own on a database that is there."""
    port = free_port()
    environment = {**os.environ, "GRIDMAP_HOME": str(home), "GRIDMAP_DATABASE_URL": url, **env}
    log = (home / "log").open("w+")
    process = subprocess.Popen(
        [GRIDMAP, "up", "--port", str(port), *options], env=environment, stdout=log, stderr=log
    )
    try:
        for _ in range(1200):
            assert process.poll() is None, (home / "log").read_text()
            with suppress(OSError):
                if ask(port, "/readyz", context=context)[0] == 200:
                    break
            time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.wait()
        log.close()


def ask(port, path, headers=None, context=None):
    kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
    more = {"context": context} if context else {}
    with closing(kind("127.0.0.1", port, timeout=30, **more)) as connection:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_processes_count_together_log_apart_and_a_stop_does_not_wait_for_streams(own_app, tmp_path):
    token = {"Authorization": f"Bearer {own_app.token('dispatcher')}"}
    options = ("--processes", "2")
    env = {"GRIDMAP_LOG_FORMAT": "json", "GRIDMAP_SECRET_KEY": own_app.settings.secret_key}
    with running(own_app.url, tmp_path, *options, **env) as (port, process):
        for _ in range(20):
            assert ask(port, "/api/me", token)[0] == 200
        status, text = ask(port, "/metrics")  # from this machine: without credentials
        assert status == 200
        assert value(text, "gridmap_requests_total", route="/api/me", status="200") == 20
        stream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        stream.request("GET", "/api/stream", headers=token)
        assert stream.getresponse().readline() == b"retry: 2000\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}
        assert time.monotonic() - began < 8  # not the 20 s that a request may take
        stream.close()
    lines = [json.loads(each) for each in (tmp_path / "log").read_text().splitlines() if each.startswith("{")]
    accesses = [each for each in lines if each.get("path") == "/api/me"]
    assert len(accesses) == 20
    assert {each["process"] for each in accesses} <= {each["process"] for each in lines}


def test_a_stop_finishes_the_request_that_is_being_answered(own_app, tmp_path):
    env = {"GRIDMAP_SECRET_KEY": own_app.settings.secret_key}
    with running(own_app.url, tmp_path, **env) as (port, process):
        headers = {"Authorization": f"Bearer {own_app.token('admin')}", "Content-Length": "4"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("POST", "/api/events")
        for each in headers.items():
            connection.putheader(*each)
        connection.endheaders()
        connection.send(b"{")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        threading.Timer(1.0, lambda: connection.send(b"   ")).start()
        assert connection.getresponse().status == 422  # half a JSON object, but an answer
        assert process.wait(30) in {0, -signal.SIGTERM}


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 of an authority of its own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gridmap test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_https_with_a_certificate_of_ones_own(own_app, certificate, tmp_path):
    chain, key = certificate
    trusting = ssl.create_default_context(cafile=chain)
    options = ("--certificate", str(chain), "--key", str(key))
    with running(own_app.url, tmp_path, *options, context=trusting) as (port, _):
        status, text = ask(port, "/healthz", context=trusting)
        assert (status, json.loads(text)) == (200, {"status": "ok"})
        with pytest.raises((ConnectionError, http.client.HTTPException, OSError)):
            ask(port, "/healthz")
        assert f"https://127.0.0.1:{port}/" in (tmp_path / "log").read_text()
        with closing(http.client.HTTPSConnection("127.0.0.1", port, context=trusting)) as connection:
            connection.request("GET", "/login")
            answer = connection.getresponse()
            assert "Secure" in answer.headers["set-cookie"]


def test_a_certificate_that_will_not_do_is_named_before_any_work(certificate, tmp_path):
    chain, key = certificate
    for options in (
        ("--certificate", str(chain)),
        ("--key", str(key)),
        ("--certificate", str(key), "--key", str(chain)),
        ("--certificate", str(tmp_path / "nothing"), "--key", str(key)),
    ):
        done = CliRunner().invoke(
            main, ["up", "--port", str(free_port()), *options], env={"GRIDMAP_HOME": str(tmp_path / "home")}
        )
        assert done.exit_code == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "certificate" in done.stderr
        assert not (tmp_path / "home").exists()
