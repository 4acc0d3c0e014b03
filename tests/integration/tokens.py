"""JSON Web Tokens as others make them: PyJWT, and by hand."""

import base64
import hashlib
import hmac
import json
import os
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = b"0123456789abcdef" * 4
CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48),
          "ES512": (ec.SECP521R1, "P-521", 66)}
ALGORITHMS = [a + h for a in ("HS", "RS", "PS", "ES") for h in ("256", "384", "512")]


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def number(n, size):
    return b64(n.to_bytes(size, "big"))


class Key:
    """A key by which tokens are signed, and what a set says of it."""

    def __init__(self, private, kid=None, **says):
        self.private, self.kid, self.says = private, kid, says

    def jwk(self):
        said = {**({"kid": self.kid} if self.kid else {}), **self.says}
        if isinstance(self.private, bytes):
            return {"kty": "oct", "k": b64(self.private), **said}
        n = self.private.public_key().public_numbers()
        if isinstance(self.private, rsa.RSAPrivateKey):
            return {"kty": "RSA", "n": number(n.n, (n.n.bit_length() + 7) // 8), "e": "AQAB", **said}
        _, crv, size = next(c for c in CURVES.values() if c[0].name == n.curve.name)
        return {"kty": "EC", "crv": crv, "x": number(n.x, size), "y": number(n.y, size), **said}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def sign(self, alg, headers=None, **claims):
        headers = {**({"kid": self.kid} if self.kid else {}), **(headers or {})}
        return jwt.encode({k: v for k, v in {**anna(), **claims}.items() if v is not None},
                          self.private, algorithm=alg, headers=headers)


def anna(**more):
    return {"sub": "anna", "exp": int(time.time()) + 3600, **more}


def new_rsa(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def new_ec(alg="ES256"):
    return ec.generate_private_key(CURVES[alg][0]())


def new_ed25519():
    return ed25519.Ed25519PrivateKey.generate()


def by_hand(header, payload, secret=SECRET):
    """Of any bytes: what a library would not write."""
    def part(x):
        return b64(x if isinstance(x, bytes) else json.dumps(x).encode())
    head = f"{part(header)}.{part(payload)}"
    return f"{head}.{b64(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


def write(d, name, content, mode=0o600):
    """A file beside the configuration of d: a set of keys, or bytes."""
    path = os.path.join(d.directory, name)
    if not isinstance(content, (bytes, str)):
        content = json.dumps({"keys": [k.jwk() if isinstance(k, Key) else k for k in content]})
    # in one go, as who replaces keys does
    with open(path + ".new", "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path
