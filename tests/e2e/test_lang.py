"""The reader's language (RFC 6856): LANG before and after the login, what it falls back to, the five failures that matter in
each language, last words; UTF8, and which mail needs it."""
import os
import re
import subprocess
import unittest

import bodies
from postern import BUILD, Server, ServerCase

REF = r" \(ref [0-9A-Z]{5}\)$"

# tag: own name, answer to LANG, then what is said for: no such user, wrong password, a mailbox that is open elsewhere (its beginning),
# message 7 of 2, QUIT that could not remove one of one.
LANGUAGES = {
    "en": ("English", "answers are in English now", "mailbox unknown: no user of that name", "invalid password",
           "unable to lock mailbox: ", "no such message: you asked for 7, the mailbox has 2",
           "some deleted messages not removed: 1 of 1 (permissions)"),
    "de": ("Deutsch", "Antworten kommen jetzt auf Deutsch", "Postfach unbekannt: kein Benutzer dieses Namens", "Falsches Passwort",
           "Postfach kann nicht gesperrt werden: ", "Diese Nachricht gibt es nicht: verlangt wurde 7, das Postfach hat 2",
           "Einige gelöschte Nachrichten nicht entfernt: 1 von 1 (Zugriffsrechte)"),
    "es": ("Español", "Las respuestas son ahora en español", "Buzón desconocido: no hay ningún usuario con ese nombre",
           "Contraseña incorrecta", "No se puede bloquear el buzón: ", "No existe ese mensaje: pidió el 7, el buzón tiene 2",
           "Algunos mensajes borrados no se eliminaron: 1 de 1 (permisos)"),
    "fr": ("Français", "Les réponses sont maintenant en français", "Boîte aux lettres inconnue : aucun utilisateur de ce nom",
           "Mot de passe incorrect", "Impossible de verrouiller la boîte : ",
           "Ce message n'existe pas : vous demandez le 7, la boîte en contient 2",
           "Certains messages supprimés n'ont pas été retirés : 1 sur 1 (permissions)"),
    "ja": ("日本語", "これからは日本語で応答します", "不明なメールボックスです: その名前のユーザーはいません", "パスワードが違います",
           "メールボックスをロックできません: ", "そのメールはありません: 指定は 7、メールボックスには 2 通です",
           "削除したメールの一部が残っています: 1 通のうち 1 通 (アクセス権がありません)"),
    "zh-Hans": ("简体中文", "现在起以简体中文应答", "未知邮箱：没有叫这个名字的用户", "密码错误", "无法锁定邮箱：",
                "没有这封邮件：您要第 7 封，邮箱共有 2 封", "部分已删除的邮件未能移除：1 封中的 1 封（权限不足）"),
}

SUBJECT = "Subject: Grüße\n".encode()
TRACE = b"Received: from a (a [192.0.2.1])\n\tby b (Postfix) with UTF8SMTPS id 1\n"
LEGACY = SUBJECT + b"\nsent by a program that knows no better\n"
DECLARED = TRACE + b"From: " + "jürgen@grüße.example\n".encode() + SUBJECT + "\nGrüße\n".encode()
EIGHT_BIT = bodies.message("8bit", "Content: Grüße\n".encode())


def speak(client, tag):
    client.charset = "utf-8"
    client.ok("LANG " + tag)
    return client


class Lang(ServerCase):
    users = ("anna", "bert")
    settings = {"limits": {"login_tries": 100}}

    @classmethod
    def prepare(cls, server):
        for user in server.users.values():
            for n in range(2):
                user.deliver(bodies.message("message %d" % n), folder="cur")

    def setUp(self):
        super().setUp()
        self.assertEqual(set(LANGUAGES), {tag for tag in self.listed(self.client()) if tag != "i-default"})

    def listed(self, client):
        client.ok("LANG")
        client.charset = "utf-8"
        return dict(line.split(" ", 1) for line in client.lines())

    def test_listing(self):
        """In both states; the names are in their own language, the status line stays ASCII."""
        for client in (self.client(), self.login("bert")):
            listed = self.listed(client)
            self.assertEqual({tag: row[0] for tag, row in LANGUAGES.items()}, {tag: listed[tag] for tag in LANGUAGES})
            self.assertTrue(listed["i-default"].isascii())
            client.close()

    def test_before_login(self):
        for tag, (_, chosen, unknown, invalid, *_) in LANGUAGES.items():
            with self.subTest(tag):
                client = self.client()
                client.charset = "utf-8"
                self.assertEqual(client.ok("LANG " + tag), "+OK %s %s" % (tag, chosen))
                self.assertRegex(client.err("USER nobody-of-that-name"), "^" + re.escape("-ERR [AUTH] " + unknown) + REF)
                client.ok("USER bert")
                self.assertRegex(client.err("PASS wrong"), "^" + re.escape("-ERR [AUTH] " + invalid) + REF)

    def test_locked(self):
        holder = self.login("bert")
        for tag, row in LANGUAGES.items():
            with self.subTest(tag):
                client = speak(self.client(), tag)
                client.ok("USER bert")
                line = client.err("PASS secret")
                self.assertRegex(line, "^" + re.escape("-ERR [IN-USE] " + row[4]) + ".*" + REF)
                self.assertRegex(line, r"\d\d:\d\d.*127\.0\.0\.1|127\.0\.0\.1.*\d\d:\d\d")
        holder.quit()

    def test_after_login(self):
        for tag, row in LANGUAGES.items():
            with self.subTest(tag):
                client = speak(self.login("bert"), tag)
                self.assertEqual(client.err("RETR 7"), "-ERR " + row[5])
                # What programs read is where it was.
                self.assertRegex(client.ok("STAT"), r"^\+OK 2 \d+$")
                self.assertRegex(client.ok("LIST 1"), r"^\+OK 1 \d+$")
                self.assertRegex(client.ok("UIDL 2"), r"^\+OK 2 \S+$")
                self.assertEqual(client.list().keys(), {1, 2})
                self.assertEqual(client.retr(1), bodies.wire(bodies.message("message 0")))
                client.quit()

    def test_not_removed(self):
        """The keeper finds it, the gate says it."""
        for tag, row in LANGUAGES.items():
            with self.subTest(tag):
                client = speak(self.login(), tag)
                client.ok("DELE 1")
                os.chmod(self.anna.maildir / "cur", 0o500)
                try:
                    self.assertRegex(client.err("QUIT"), "^" + re.escape("-ERR [SYS/PERM] " + row[6]) + REF)
                    client.end()
                finally:
                    os.chmod(self.anna.maildir / "cur", 0o700)

    def test_fallback(self):
        for range_, tag in (("de-AT", "de"), ("DE", "de"), ("fr-CA-x-home", "fr"), ("en-GB", "en"), ("zh", "zh-Hans"), ("zh-CN", "zh-Hans"),
                            ("ja-JP", "ja"), ("es-419", "es"), ("i-default", "i-default"), ("*", "en")):
            with self.subTest(range_):
                client = self.client()
                client.charset = "utf-8"
                self.assertTrue(client.ok("LANG " + range_).startswith("+OK %s " % tag))
                client.close()

    def test_unknown(self):
        """An error, and the language stays."""
        for range_ in ("MUL", "mul", "uga", "de_DE", "x", "zh-TW", "zh-Hant-HK", "deutsch", "\xff"):
            with self.subTest(range_):
                client = self.client()
                client.err(b"LANG " + range_.encode("latin-1"), r"^-ERR no answers in that language")
                speak(client, "fr")
                client.err(b"LANG " + range_.encode("latin-1"), r"^-ERR Pas de réponses dans cette langue")
                self.assertEqual(client.ok("QUIT"), "+OK Au revoir")
                client.end()

    def test_ascii_by_default(self):
        """The client checks each line for that."""
        client = self.client()
        client.err("USER nobody-of-that-name", "mailbox unknown")
        client.err("LANG xx", "no answers in that language")
        client.ok("LANG en")
        client.login("bert")
        client.err("RETR 7", "no such message")
        client.quit()

    def test_pipelined(self):
        """Each answer is in the language that was chosen before it."""
        client = self.client()
        client.charset = "utf-8"
        client.send(b"LANG de\r\nNOPE\r\nLANG ja\r\nNOPE\r\nLANG xx\r\nLANG *\r\nUSER bert\r\nPASS secret\r\nLANG es\r\nNOOP\r\nQUIT\r\n")
        got = [client.status() for _ in range(11)]
        self.assertEqual(got[:7] + got[8:], [
            "+OK de " + LANGUAGES["de"][1], "-ERR Unbekannter Befehl: POP3 hat ihn nicht",
            "+OK ja " + LANGUAGES["ja"][1], "-ERR 不明なコマンドです: POP3 にはありません",
            "-ERR その言語では応答できません: LANG だけを送ると一覧が出ます",
            "+OK en " + LANGUAGES["en"][1], "+OK now send PASS and the password",
            "+OK es " + LANGUAGES["es"][1], "+OK No se ha hecho nada, como se pidió",
            "+OK 0 mensajes borrados, quedan 2; adiós"])
        client.end()

    def test_tls_starts_anew(self):
        """Who sits on the network chooses no language for a session inside TLS."""
        client = speak(self.client(), "ja")
        client.stls()
        client.charset = "ascii"
        client.err("USER nobody-of-that-name", "mailbox unknown")
        speak(client, "de").err("NOPE", "Unbekannter Befehl")

    def test_over_tls(self):
        client = speak(self.client(tls=True), "fr")
        client.login("bert")
        client.err("RETR 7", re.escape(LANGUAGES["fr"][5]))
        client.quit()


class Explain(unittest.TestCase):
    def test_explain(self):
        """postern explain knows an answer in each language by its words."""
        for tag, row in LANGUAGES.items():
            for words, want in ((row[2], "MAILBOX_UNKNOWN"), ("-ERR [AUTH] %s (ref 7KQ2M)" % row[3], "INVALID_PASSWORD"),
                                (row[4], "LOCKED"), (row[5], "NO_SUCH_MESSAGE"), (row[6], "KEPT_DENIED")):
                with self.subTest(tag, words=words):
                    out = subprocess.run([BUILD / "postern", "explain", re.sub(r" \(ref .*", "", words)], stdout=subprocess.PIPE, check=True)
                    self.assertRegex(out.stdout.decode(), r"(?m)^%s$" % want)


class LastWords(unittest.TestCase):
    def test_stopping_and_timeout(self):
        server = Server(settings={"limits": {"login_seconds": 3}})
        try:
            late, session = speak(server.client(), "ja"), speak(server.login(), "de")
            self.assertRegex(late.status(), "^-ERR 3 秒以内にログインがありませんでした。接続を閉じます" + REF)
            late.end()
            server.terminate()
            self.assertRegex(session.status(), r"^-ERR \[SYS/TEMP\] Der Server wird beendet oder neu gestartet; .*\(ref ")
            session.end()
        finally:
            server.stop()


class Utf8(ServerCase):
    """What comes out is what is stored, always; what a client without UTF8 does not get is refused, not rewritten."""
    users = ("anna",)
    required, refused = "declared", {3}
    mail = (bodies.message("plain"), LEGACY, DECLARED, EIGHT_BIT)

    @classmethod
    def setUpClass(cls):
        cls.settings = {"maildrop": {"utf8_required": cls.required}}
        super().setUpClass()

    @classmethod
    def prepare(cls, server):
        for octets in cls.mail:
            server.users["anna"].deliver(octets, folder="cur")

    def check(self, client, refused):
        sizes = client.list()
        for number, octets in enumerate(self.mail, 1):
            with self.subTest(number):
                self.assertEqual(sizes[number], len(bodies.wire(octets)))
                if number in refused:
                    for command in ("RETR %d" % number, "TOP %d 0" % number):
                        client.err(command, r"^-ERR \[UTF8\] message %d has UTF-8 in its header: the UTF8 command is needed" % number)
                else:
                    self.assertEqual(client.retr(number), bodies.wire(octets))
                    self.assertEqual(client.top(number, 0), bodies.top(octets, 0))
        client.quit()

    def test_without(self):
        self.check(self.login(), self.refused)

    def test_with(self):
        client = self.client()
        client.ok("UTF8")
        client.login("anna")
        self.check(client, ())

    def test_states(self):
        client = self.client()
        self.assertEqual([client.capa()[name] for name in ("UTF8", "LANG")], ["", ""])
        client.err("UTF8 USER", "argument")
        client.ok("UTF8")
        client.ok("utf8")
        client.login("anna")
        self.assertEqual([client.capa()[name] for name in ("UTF8", "LANG")], ["", ""])
        client.err("UTF8", r"^-ERR already logged in")
        client.quit()

    def test_stls_forgets(self):
        """A client must not send STLS behind UTF8. One that does is served, and has to say UTF8 again."""
        client = self.client()
        client.ok("UTF8")
        client.stls()
        client.login("anna")
        self.check(client, self.refused)

    def test_dele(self):
        """What is not sent can be deleted, and taken back."""
        client = self.login()
        client.ok("DELE 3")
        client.ok("RSET")
        client.quit()


class Utf8Any(Utf8):
    required, refused = "any", {2, 3}


class Utf8None(Utf8):
    required, refused = "none", ()


class Utf8Mbox(Utf8):
    """In the middle of an mbox."""
    location = "mbox:SPOOL/%u"

    @classmethod
    def prepare(cls, server):
        server.users["anna"].write_mbox(b"".join(b"From a@example.org Mon Jan  1 00:00:00 2024\n" + octets + b"\n" for octets in cls.mail))
