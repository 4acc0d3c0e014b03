"""Authorities and certificates of a test's own, made by the openssl command.

An Authority has a directory with its key, its certificate and a register of what it has signed,
so that it can revoke. What it signs are Pairs: files with a certificate and with its key.
"""

import datetime
import os
import ssl
import subprocess

CONFIG = """
[ca]
default_ca = own
[own]
dir = {directory}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
organizationName = optional
commonName = optional
[req]
distinguished_name = none
[none]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
"""

KINDS = {
    "ec": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    "rsa": ("-newkey", "rsa:2048"),
    "weak": ("-newkey", "rsa:1024"),
    "ed25519": ("-newkey", "ed25519"),
}


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *args], input=data, capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stderr.decode())
    return done.stdout


def moment(days):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return at.strftime("%Y%m%d%H%M%SZ")


class Pair:
    """A certificate and its key, in files."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    def group(self):
        """As the configuration has it."""
        return {"certificate": self.certificate, "key": self.key}

    def der(self):
        """The first certificate of the file, as a peer sees it."""
        with open(self.certificate, encoding="ascii") as f:
            pem = f.read()
        end = "-----END CERTIFICATE-----\n"
        return ssl.PEM_cert_to_DER_cert(pem[:pem.index(end) + len(end)])


class Authority:
    def __init__(self, directory, name="Test Root", parent=None, days=365):
        self.directory = directory
        self.parent = parent
        self.count = 0
        os.makedirs(directory)
        self.config = self.file("ca.cnf", CONFIG.format(directory=directory))
        self.file("index.txt", "")
        self.file("serial", "1000\n")
        self.file("crlnumber", "1000\n")
        self.certificate = os.path.join(directory, "ca.pem")
        key = os.path.join(directory, "ca.key")
        ask = ["req", "-new", "-nodes", *KINDS["ec"], "-keyout", key, "-subj", f"/CN={name}",
               "-config", self.config]
        if parent:
            openssl(*ask, "-out", f"{key}.csr")
            parent.sign(f"{key}.csr", self.certificate, "authority", -1, days)
        else:
            openssl(*ask, "-x509", "-days", str(days), "-extensions", "authority",
                    "-out", self.certificate)

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(content)
        return path

    def sign(self, request, out, extensions, begin, end):
        openssl("ca", "-batch", "-notext", "-config", self.config, "-in", request, "-out", out,
                "-startdate", moment(begin), "-enddate", moment(end), "-extensions", extensions)

    def pair(self, *names, kind="ec", subject=None, days=90, begin=-2, passphrase=None):
        """Signs a certificate for names such as "DNS:a.test"; its chain is in the file."""
        self.count += 1
        base = os.path.join(self.directory, f"leaf{self.count}")
        subject = subject if subject is not None else f"/CN=leaf{self.count}"
        openssl("req", "-new", *KINDS[kind], "-keyout", f"{base}.key", "-out", f"{base}.csr",
                "-subj", subject, "-config", self.config,
                *(("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)),
                *(("-addext", "subjectAltName=" + ",".join(names)) if names else ()))
        self.sign(f"{base}.csr", f"{base}.pem", "leaf", begin, days)
        if self.parent:
            with open(f"{base}.pem", "a", encoding="ascii") as out, \
                    open(self.certificate, encoding="ascii") as f:
                out.write(f.read())
        return Pair(f"{base}.pem", f"{base}.key")

    def revoke(self, pair):
        openssl("ca", "-config", self.config, "-revoke", pair.certificate)

    def revocations(self, seconds=30 * 24 * 3600):
        """A file with the list of what was revoked until now, good for some seconds."""
        self.count += 1
        out = os.path.join(self.directory, f"list{self.count}.pem")
        openssl("ca", "-config", self.config, "-gencrl", "-crlsec", str(seconds),
                "-out", out)
        return out


def client(authority=None, pair=None, alpn=(), version=None):
    """A context that trusts the authority alone, and shows the pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(authority.certificate)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    return context
