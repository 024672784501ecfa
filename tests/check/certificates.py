"""An authority of our own, and certificates that are good, or bad in one way each."""
import datetime
import ssl
import subprocess

from postern import run_directory

CONFIG = """
[ca]
default_ca = here
[here]
database = {d}/{ca}.index
serial = {d}/{ca}.serial
new_certs_dir = {d}
certificate = {d}/{ca}.pem
private_key = {d}/{ca}.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = optional
organizationName = optional
"""
_made = {}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def directory():
    path = run_directory() / "certificates"
    path.mkdir(exist_ok=True)
    return path


def authority(name="Test Authority"):
    """The authority's certificate, made once."""
    d, ca = directory(), name.replace(" ", "-")
    if ca not in _made:
        openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "%s/%s.key" % (d, ca),
                "-out", "%s/%s.pem" % (d, ca), "-days", "3650", "-subj", "/O=%s/CN=%s Root" % (name, name))
        (d / (ca + ".index")).write_text("")
        (d / (ca + ".serial")).write_text("01\n")
        (d / (ca + ".cnf")).write_text(CONFIG.format(d=d, ca=ca))
        _made[ca] = str(d / (ca + ".pem"))
    return _made[ca]


def certificate(label, hosts=("localhost",), addresses=("127.0.0.1", "192.0.2.1", "::1"), first=-1, last=90, signer="Test Authority"):
    """(certificate, key) valid from `first` to `last`, in days from now."""
    if label in _made:
        return _made[label]
    authority(signer)
    d, ca, now = directory(), signer.replace(" ", "-"), datetime.datetime.now(datetime.timezone.utc)
    stamps = [(now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (first, last)]
    names = ",".join(["DNS:" + host for host in hosts] + ["IP:" + address for address in addresses])
    openssl("req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "%s/%s.key" % (d, label),
            "-out", "%s/%s.csr" % (d, label), "-subj", "/CN=%s" % hosts[0], "-addext", "subjectAltName=" + names)
    openssl("ca", "-batch", "-config", "%s/%s.cnf" % (d, ca), "-startdate", stamps[0], "-enddate", stamps[1],
            "-in", "%s/%s.csr" % (d, label), "-out", "%s/%s.crt" % (d, label), "-notext")
    (d / (label + ".key")).chmod(0o600)
    _made[label] = (str(d / (label + ".crt")), str(d / (label + ".key")))
    return _made[label]


def context(pair, old=False):
    """A server's context with that certificate and key."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*pair)
    if old:
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return made


GOOD = dict(label="good")
EXPIRED = dict(label="expired", first=-100, last=-9)
EARLY = dict(label="early", first=9, last=100)
ENDING = dict(label="ending", last=5)
MISNAMED = dict(label="misnamed", hosts=("pop.provider.example", "*.mail.example"), addresses=())
STRANGER = dict(label="stranger", signer="Authority Of Its Own")
SCANNER = dict(label="scanner", signer="Avast Web Mail Shield")
