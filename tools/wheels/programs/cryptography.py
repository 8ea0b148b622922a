"""Encrypt, decrypt and sign."""

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def work():
    box = Fernet(Fernet.generate_key())
    assert box.decrypt(box.encrypt(b"text")) == b"text"
    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"text"), b"text")
