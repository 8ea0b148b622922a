"""What is read of a file."""

from python_tsan.storage import sha256_of


def test_the_digest_is_that_of_the_content(tmp_path):
    path = tmp_path / "library"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
