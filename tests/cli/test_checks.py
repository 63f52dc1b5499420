"""`banyan doctor` says of each thing that is wrong what to do, in a sentence. What is right is in test_service.py."""

from __future__ import annotations

import datetime
import os
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from banyan_cli import checks
from banyan_node.home.config import Config
from banyan_storage.errors import CorruptStore
from banyan_web.door_store import DoorStore


def certificate_file(folder: Path, days: int, host: str = "localhost") -> Path:
    """Signed by itself, so it is its own authority."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(ends - datetime.timedelta(days=90))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}{days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def served(certificate: Path) -> Iterator[str]:
    """A server with this certificate on loopback. Yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(line, server_side=True).close()
                except OSError:
                    line.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)


@pytest.mark.parametrize(
    ("days", "host", "ok", "said"),
    [
        (60, "localhost", True, "60 days."),
        (9, "localhost", False, "in 9 days; renew it"),
        (-3, "localhost", False, "Clients do not believe the certificate of localhost: certificate has expired"),
        (60, "other.example", False, "Hostname mismatch"),
    ],
)
def test_a_certificate_that_ends_soon_or_that_clients_do_not_believe_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, host: str, ok: bool, said: str
) -> None:
    file = certificate_file(tmp_path, days, host)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with served(file) as url:
        found = checks.certificate(url)
    assert (found[0], said in found[1]) == (ok, True), found


def test_a_certificate_of_nobody_known_and_a_server_without_tls_are_found(tmp_path: Path) -> None:
    with served(certificate_file(tmp_path, 60)) as url:
        assert "self-signed certificate" in checks.certificate(url)[1]
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
    assert checks.certificate(f"https://127.0.0.1:{port}")[1].startswith(
        f"https://127.0.0.1:{port} is not reached from"
    )
    assert checks.certificate("http://127.0.0.1:8080") == (None, "http.url names no https address, so there is none.")


def test_a_damaged_door_db_and_one_that_others_can_read_are_found(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    assert checks.door_remembers(path)[0] is None
    store = DoorStore(path)
    for _ in range(50):
        store.mint(None, "x" * 500, ("read",))
    store.close()
    assert checks.door_remembers(path)[0] is True
    path.chmod(0o644)
    assert checks.door_remembers(path) == (
        False,
        f"{path} has mode 0644, so others on this machine can read it; run `chmod 600 {path}`.",
    )
    path.chmod(0o600)
    for damaged in (path, tmp_path / "door.db-wal"):  # what is whole in one of them would be read there
        with damaged.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 20_000)
    with pytest.raises(CorruptStore, match=r"door\.db is damaged \(.*put a copy back, or let `banyan store repair`"):
        checks.door_remembers(path)


def test_a_port_of_another_program_is_found_though_something_answers_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine, socket.create_server(("127.0.0.1", 0)) as gone:
        port, other = mine.getsockname()[1], gone.getsockname()[1]
        gone.close()
        assert checks.of_process(os.getpid(), {port: "peers"}) == (True, f"1 port is the node's own: {port} for peers.")
        ok, said = checks.of_process(os.getpid(), {other: "the door"})
        assert (ok, said) == (False, f"Nobody listens on port {other}, which is for the door; start the node again.")
        why = checks.why_taken("127.0.0.1", port)
        assert why == f"127.0.0.1 port {port} is taken by another program; stop that, or choose another port"


def test_a_process_that_does_not_own_the_port_is_told_from_the_one_that_does() -> None:
    import subprocess

    sleeper = subprocess.Popen(["sleep", "30"])
    try:
        with socket.create_server(("127.0.0.1", 0)) as mine:
            port = mine.getsockname()[1]
            ok, said = checks.of_process(sleeper.pid, {port: "peers"})
        assert (ok, said) == (
            False,
            f"Port {port}, which is for peers, is of another program; stop that, and start the node.",
        )
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_door_that_does_not_answer_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ok, said = checks.door_answers(f"127.0.0.1:{port}")
    assert (ok, said.startswith(f"The door at 127.0.0.1:{port} does not answer (Connection refused);")) == (False, True)


def test_versions_that_do_not_fit_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.versions(None, ())[0]
    ok, said = checks.versions("0.0.9", ())
    assert (ok, "The node that runs is banyan 0.0.9, and this command" in said) == (False, True)
    ok, said = checks.versions(None, ["protocol version 4 meets 3: update the older node"])
    assert (ok, said) == (False, "A peer is of another version: protocol version 4 meets 3: update the older node.")
    monkeypatch.setattr(checks, "requires", lambda name: ["lmdb>=99.1", "no-such-library", "av>=15 ; extra == 'video'"])
    ok, said = checks.versions(None, ())
    assert ok is False
    assert "is installed, and lmdb>=99.1 is asked for; no-such-library is missing: install banyan again." in said


@pytest.mark.parametrize(
    ("found", "how", "bound", "fits"),
    [
        ("0.8.1+banyan.1", "==", "0.8.1", True),
        ("1.0", ">=", "1", True),
        ("1.10", ">=", "1.9", True),
        ("0.20.3", "<", "0.21", True),
        ("2.0b1", ">=", "2.1", False),
    ],
)
def test_versions_are_compared_by_their_numbers(found: str, how: str, bound: str, fits: bool) -> None:
    assert checks._fits(found, how, bound) is fits


def test_limits_of_the_system_that_are_too_small_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_most_files", lambda pid: 1_024)
    assert checks.open_files(Config(), False, None)[0] is True
    ok, said = checks.open_files(Config(), True, None)
    assert (ok, said.startswith("1,024 files may be open, and the settings allow connections that need 5,120;")) == (
        False,
        True,
    )
    assert checks.store_map(tmp_path)[0] is True
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1 << 32, 1 << 32))
    assert "`ulimit -v unlimited` allows it" in checks.store_map(tmp_path)[1]
    monkeypatch.setattr(checks, "_file_system", lambda folder: "nfs4")
    assert checks.store_map(tmp_path) == (
        False,
        f"{tmp_path} is on nfs4, whose locks a store cannot rely on; move the home to a disk of this machine.",
    )


def test_a_door_on_a_unix_socket_is_asked_and_what_it_answers_counts(tmp_path: Path) -> None:
    where, statuses = str(tmp_path / "d"), [b"200 OK", b"503 Service Unavailable"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(where)
        listener.listen()

        def serve() -> None:
            for status in statuses:
                line, _ = listener.accept()
                with line:
                    assert line.recv(4096).startswith(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
                    line.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=serve)
        thread.start()
        assert checks.door_answers(f"unix:{where}")[0] is True
        assert checks.door_answers(f"unix:{where}") == (
            False,
            f"The door at unix:{where} answers 503 to /health; look at the node's log.",
        )
        thread.join()
