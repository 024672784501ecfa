"""[listen] proxies: clients that come by way of a proxy which says whose each connection is. A real haproxy, with both versions of the
header, in clear and over TLS; and a proxy of our own, that sends what haproxy never would.

All addresses are this host's: the proxy connects from 127.0.0.9, its clients from others.
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import unittest

import situations
from client import Client, client_context
from postern import Server, free_port
from processes import PATIENCE, wait_until

PROXY = "127.0.0.9"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(client, more=b""):
    return SIGNATURE + b"\x21\x11" + struct.pack(">H", 12 + len(more)) + socket.inet_aton(client) + socket.inet_aton(PROXY) + struct.pack(">HH", 40000, 110) + more


class Proxies(unittest.TestCase):
    def begin(self, **settings):
        server = Server(("anna", "bert"), {"listen": {"proxies": PROXY}, **settings})
        self.addCleanup(lambda: server.popen.poll() is None and server.stop())
        server.users["anna"].deliver(b"Subject: a\n\none\n")
        return server

    def client(self, server, **options):
        client = Client(server, **options)
        self.addCleanup(client.close)
        return client

    def haproxy(self, server, option):
        """Its ports for POP3 and POP3 over TLS, which it hands through."""
        ports = free_port(), free_port()
        config = server.base / "haproxy.cfg"
        lines = ["defaults", "mode tcp", "timeout connect 20s", "timeout client 60s", "timeout server 60s"]
        for port, ours in zip(ports, (server.pop3_port, server.pop3s_port)):
            lines += ["listen p%d" % port, "bind 127.0.0.1:%d" % port, "server s 127.0.0.1:%d source %s %s" % (ours, PROXY, option)]
        config.write_text("\n".join(lines) + "\n")
        popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "haproxy", "-db", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(popen.wait)
        self.addCleanup(popen.kill)

        def serves():
            try:
                self.client(server, port=ports[0], source="127.0.0.8")
                return True
            except (OSError, AssertionError):
                return False
        wait_until(serves, "haproxy has a server behind it", 20)
        return ports

    @unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
    def test_haproxy(self):
        """Log, history and limits know the client; STLS and TLS from the start go through; a check of haproxy's is no client."""
        server = self.begin(limits={"per_source": 2})
        for option in ("send-proxy", "send-proxy-v2 check inter 50"):
            with self.subTest(option=option):
                plain, tls = self.haproxy(server, option)
                for source in ("127.0.0.5", "127.0.0.6"):
                    since = server.mark()
                    with self.client(server, port=plain, source=source) as client:
                        client.ok("STLS")
                        client.context = client_context(server.certificate)
                        client.handshake()
                        client.login("anna", "secret")
                        client.retr(1)
                        client.quit()
                    server.wait_for_log(r'session: user="anna" .*peer=%s ' % source, since=since)
                since = server.mark()
                with self.client(server, port=tls, source="127.0.0.5", tls=True) as client:
                    client.ok("USER anna")
                    self.assertTrue(client.cmd("PASS wrong").startswith("-ERR"))
                server.wait_for_log(r'login failed: user="anna" peer=127\.0\.0\.5 tls=TLSv1\.3', since=since)
                held = [self.client(server, port=plain, source="127.0.0.7") for _ in range(2)]
                third = self.client(server, port=plain, source="127.0.0.7", greeting=False)
                self.assertIn("your address has 2 of 2 connections open", third.status())
                self.client(server, port=plain, source="127.0.0.6")
                for one in held:
                    one.close()
        self.assertNotIn("NO_PROXY_HEADER", server.log())

    def test_headers(self):
        """In pieces; with commands behind it in one packet; with more in it than addresses; whose it is not said."""
        server = self.begin()
        headers = {"127.0.0.21": [bytes([c]) for c in b"PROXY TCP4 127.0.0.21 127.0.0.9 40000 110\r\n"], "127.0.0.22": [b"PROXY TCP4 127.0.0.22 127.0.0.9 40000 110\r\nUSER anna\r\nPASS secret\r\n"],
                   "127.0.0.23": [version_2("127.0.0.23", b"\x04\0\x20" + bytes(32)) + b"USER anna\r\nPASS secret\r\n"],
                   PROXY: [SIGNATURE[:5], SIGNATURE[5:] + b"\x20\0\0", b"\0"]}
        for peer, parts in headers.items():
            with self.subTest(peer=peer):
                client = self.client(server, source=PROXY, greeting=False)
                for part in parts:
                    client.send(part)
                self.assertTrue(client.status().startswith("+OK"))
                if b"PASS" not in parts[-1]:
                    client.send(b"USER anna\r\nPASS secret\r\n")
                client.status()
                self.assertTrue(client.status().startswith("+OK"))
                client.quit()
                client.close()
                server.wait_for_log(r'session: user="anna" .*peer=%s ' % peer.replace(".", r"\."))

    def test_checks(self):
        """A proxy that looks every two seconds whether the ports are open does not fill the log; who tries to log in there is in it, and so are strangers."""
        server = self.begin()
        for port in (server.pop3_port, server.pop3s_port):
            client = self.client(server, source=PROXY, greeting=False, port=port)
            client.send(SIGNATURE + b"\x20\0\0\0")
            if port == server.pop3_port:
                client.status()
            client.close()
        for source, header, user in ((PROXY, SIGNATURE + b"\x20\0\0\0", "anna"), ("127.0.0.5", b"", "")):
            client = self.client(server, source=source, greeting=False)
            client.send(header)
            client.status()
            if user:
                client.ok("USER " + user)
                client.err("PASS wrong")
            client.quit()
            server.wait_for_log(r'session: user="%s" login=no peer=%s ' % (user, source.replace(".", r"\.")))
        server.terminate()
        wait_until(lambda: server.popen.poll() is not None, "the server ends", 20)
        log = server.log()
        server.stop()
        self.assertNotIn('session: user="" login=no peer=%s ' % PROXY, log)

    def test_no_header(self):
        """A person on the proxy's host, and one who says nothing: a sentence, and no session. Others are served meanwhile."""
        server = self.begin()
        silent = self.client(server, source=PROXY, greeting=False)
        half = self.client(server, source=PROXY, greeting=False)
        half.send(b"PROXY TCP4 127.0.0.5 ")
        typed = self.client(server, source=PROXY, greeting=False)
        typed.send(b"CAPA\r\n")
        situations.check(server, "NO_PROXY_HEADER", "a command from a proxy's address", typed.status(), peer=PROXY)
        typed.end()
        self.client(server, source="127.0.0.5").login("anna", "secret")
        for one in (silent, half):
            self.assertIn("a PROXY header has to come first", one.status())
            one.end()
        tls = self.client(server, source=PROXY, greeting=False, port=server.pop3s_port)
        tls.send(b"\x16\x03\x01")
        tls.end()
        # One who is no proxy is taken at his word by nobody.
        liar = self.client(server, source="127.0.0.5")
        liar.send(b"PROXY TCP4 127.0.0.6 127.0.0.9 40000 110\r\n")
        self.assertIn("none is expected here", liar.status())

    def test_many(self):
        """Connections that say nothing, more than are waited for: clients are served, also by way of the proxy; a stop does not wait for them."""
        server = self.begin(limits={"per_source": 10000})
        silent = []
        for _ in range(300):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.bind((PROXY, 0))
            sock.settimeout(20 * PATIENCE)
            sock.connect(("127.0.0.1", server.pop3_port))
            silent.append(sock)
        for source, header in (("127.0.0.5", b""), (PROXY, version_2("127.0.0.6"))):
            client = self.client(server, source=source, greeting=False)
            client.send(header)
            self.assertTrue(client.status().startswith("+OK"))
            client.login("anna", "secret")
            client.quit()
        server.stop()

    def test_burst(self):
        """Many come at once, each with its header: none of them is told that it lacks one, whatever else there may be no room for."""
        server = self.begin(workers={"spare_min": 2, "spare_max": 4, "max": 20})
        os.kill(server.pid, signal.SIGSTOP)
        clients = []
        for n in range(500):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.bind((PROXY, 0))
            sock.connect(("127.0.0.1", server.pop3_port))
            sock.sendall(version_2("127.1.%d.%d" % (n // 250, n % 250)))
            clients.append(sock)
        os.kill(server.pid, signal.SIGCONT)
        for sock in clients:
            sock.settimeout(20 * PATIENCE)
            sock.recv(1)
        self.assertNotIn("NO_PROXY_HEADER", server.log())

    def test_reload(self):
        """An address becomes a proxy's, and is none any more."""
        server = self.begin(limits={"per_source": 5})
        server.write_config(listen={"proxies": "127.0.0.8"})
        server.reload()
        client = self.client(server, source=PROXY)
        client.login("anna", "secret")
        client.quit()
        client = self.client(server, source="127.0.0.8", greeting=False)
        client.send(version_2("127.0.0.5"))
        self.assertTrue(client.status().startswith("+OK"))


if __name__ == "__main__":
    unittest.main()
