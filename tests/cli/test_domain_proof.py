"""`banyan handle prove` against a DNS server and a web server on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUDPServer

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from banyan_cli.commands.profiles import MOST_BYTES, on_the_web
from tests.cli.shell import Ran, banyan


@contextmanager
def dns_server(texts: Mapping[str, list[str]]) -> Iterator[str]:
    """Answers TXT questions; other names are not there."""

    class Answers(BaseRequestHandler):
        def handle(self) -> None:
            raw, socket = self.request
            ask = dns.message.from_wire(raw)
            name, answer = ask.question[0].name.to_text(omit_final_dot=True), dns.message.make_response(ask)
            answer.flags |= dns.flags.RA
            if name in texts:
                rows = [f'"{text}"' for text in texts[name]]
                answer.answer.append(dns.rrset.from_text(ask.question[0].name, 60, "IN", "TXT", *rows))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            socket.sendto(answer.to_wire(), self.client_address)

    with ThreadingUDPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def web_server(folder: Path, body: bytes, status: int = 200) -> Iterator[tuple[str, Path]]:
    """(address, certificate) of an HTTPS server."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "cert.pem"
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/.well-known/banyan", file
        server.shutdown()
        thread.join()


@pytest.fixture
def platform(home: Path) -> str:
    """A platform of vn.example, and Lan, whose handle it confirms."""

    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err
        return ran

    run("account", "create", "Lan")
    run("handle", "domain", "vn.example")
    run("handle", "claim", "lan@vn.example", "--as", "Lan")
    run("handle", "confirm", "lan@vn.example", "Lan")
    return str(run("profile", "--json").lines[0]["account"])


def test_a_handle_is_proved_by_the_dns_of_its_domain_or_its_web_server(
    home: Path, platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(server: str, url: str) -> Ran:
        return banyan("--home", home, "handle", "prove", "lan@vn.example", "--dns", server, "--web", url, "--json")

    right, other = f"account={platform}", "account=did:banyan:z6Mk"
    with dns_server({"_banyan.vn.example": ["v=1", right]}) as server:
        (told,) = prove(server, "https://127.0.0.1:1/").lines
        assert (told["handle"], told["proofs"]) == ("lan@vn.example", ["the DNS (_banyan.vn.example TXT)"])
        with web_server(tmp_path, f"{right}\n".encode()) as (url, cert):
            untrusted = prove(server, url)
            assert untrusted.lines[0]["proofs"] == ["the DNS (_banyan.vn.example TXT)"]
            monkeypatch.setenv("SSL_CERT_FILE", str(cert))
            assert prove(server, url).lines[0]["proofs"] == ["the DNS (_banyan.vn.example TXT)", url]
    with dns_server({"_banyan.vn.example": [other]}) as server:
        ran = prove(server, "https://127.0.0.1:1/")
        assert (ran.code, "Not proved: vn.example does not name" in ran.err, "it names did:banyan:z6Mk" in ran.err) == (
            *(1, True, True),
        )
    with dns_server({}) as server:
        assert "it says nothing" in prove(server, "https://127.0.0.1:1/").err
    assert "no DNS server; give its address" in prove("here", "https://127.0.0.1:1/").err


def test_what_nobody_confirms_is_not_asked_for(home: Path, platform: str) -> None:
    assert platform
    for handle, says in (("minh@vn.example", "nobody held here claims it"), ("x", "is no handle")):
        assert says in banyan("--home", home, "handle", "prove", handle).err


def test_a_web_server_that_says_too_much_or_nothing_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body, status, why in (
        (b"account=did:banyan:z1\n" + b"x" * MOST_BYTES, 200, "more than 65,536 bytes"),
        (b"hello", 200, "it names no account"),
        (b"account=did:banyan:z1", 302, "status 302"),
    ):
        with web_server(tmp_path, body, status) as (url, cert):
            monkeypatch.setenv("SSL_CERT_FILE", str(cert))
            said = on_the_web(url)
            assert (said.accounts, why in said.why) == (frozenset(), True)
    assert "does not answer" in on_the_web("https://127.0.0.1:1/").why
