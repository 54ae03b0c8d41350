"""Secrets at rest: what a ciphertext opens with, and where."""

import pytest
from cryptography.fernet import Fernet

from console.kit import crypto


def test_what_is_sealed_can_be_read_in_its_place():
    assert crypto.decrypt(crypto.encrypt("s3cret", context="a:1:x"), context="a:1:x") == "s3cret"


def test_a_ciphertext_moved_to_another_place_is_refused():
    sealed = crypto.encrypt("s3cret", context="a:1:x")
    with pytest.raises(crypto.DecryptionError):
        crypto.decrypt(sealed, context="a:2:x")


def test_keys_rotate_and_the_old_one_can_be_dropped(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    sealed = crypto.encrypt("s3cret", context="p")
    settings.ENCRYPTION_KEYS = [new, old]
    assert crypto.decrypt(sealed, context="p") == "s3cret"
    rotated = crypto.rotate(sealed)
    settings.ENCRYPTION_KEYS = [new]
    assert crypto.decrypt(rotated, context="p") == "s3cret"
    with pytest.raises(crypto.DecryptionError):
        crypto.decrypt(sealed, context="p")
