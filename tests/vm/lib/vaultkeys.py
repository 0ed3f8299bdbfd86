# SPDX-License-Identifier: GPL-2.0-only
"""Every key that a secret leads to, computed from what stands on disk by code that shares nothing
with the product but libargon2: for tests that search for them. ecryptfsd-vault(5) has the format.
"""
import base64
import ctypes
import hashlib
import hmac

ARGON2_ID, ARGON2_VERSION = 2, 0x13
ROOT_LEN, KEY_LEN = 32, 64
RECOVERY_ALPHABET = "cbdefghijklnrtuv"


def hkdf(key, length, info, salt=b""):
    """HKDF-SHA-512, RFC 5869."""
    pseudo_random, block, out = hmac.digest(salt or bytes(64), key, "sha512"), b"", b""
    while len(out) < length:
        block = hmac.digest(pseudo_random, block + info + bytes([len(out) // 64 + 1]), "sha512")
        out += block
    return out[:length]


def argon2id(password, salt, kdf):
    library = ctypes.CDLL("libargon2.so.1")
    out = ctypes.create_string_buffer(ROOT_LEN)
    status = library.argon2_hash(
        ctypes.c_uint32(kdf["passes"]), ctypes.c_uint32(kdf["memory_kib"]),
        ctypes.c_uint32(kdf["lanes"]), password, ctypes.c_size_t(len(password)), salt,
        ctypes.c_size_t(len(salt)), out, ctypes.c_size_t(ROOT_LEN), None, ctypes.c_size_t(0),
        ARGON2_ID, ARGON2_VERSION)
    if status:
        raise ValueError(f"libargon2 says {status}")
    return out.raw


def aes_256_gcm_stream(key, nonce, data):
    """What GCM decrypts, by its counter mode: the tag is not looked at, the signature will tell."""
    library = ctypes.CDLL("libcrypto.so.3")
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_ctr"):
        getattr(library, name).restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.EVP_CIPHER_CTX_new())
    out, length = ctypes.create_string_buffer(len(data)), ctypes.c_int()
    library.EVP_DecryptInit_ex(context, ctypes.c_void_p(library.EVP_aes_256_ctr()), None, key,
                               nonce + (2).to_bytes(4, "big"))
    library.EVP_DecryptUpdate(context, out, ctypes.byref(length), data, len(data))
    library.EVP_CIPHER_CTX_free(context)
    return out.raw


def recovery_bytes(text):
    """Of a recovery key as a person writes it: ten letters a group, the last two its checksum."""
    out = b""
    for group in text.split("-"):
        values = [RECOVERY_ALPHABET.index(letter) for letter in group[:8]]
        out += bytes(high << 4 | low for high, low in zip(values[::2], values[1::2]))
    return out


def of_vault(document, password, recovery):
    """{name: key} for a vault document, its passphrase and its recovery key, checked by the
    signature of the content key, which the document has."""
    keys = {"recovery key": recovery_bytes(recovery)}
    for slot in document["slots"]:
        kdf, wrapped, kind = slot["kdf"], slot["wrapped"], slot["type"]
        salt = base64.b64decode(kdf["salt"])
        root = argon2id(password, salt, kdf) if kind == "passphrase" else \
            hkdf(keys["recovery key"], ROOT_LEN, b"ecryptfs recovery key", salt)
        wrapping = hkdf(root, 32, b"ecryptfs slot wrapping key")
        vault_key = aes_256_gcm_stream(wrapping, base64.b64decode(wrapped["nonce"]),
                                       base64.b64decode(wrapped["ciphertext"]))
        keys.update({f"{kind} root": root, f"{kind} wrapping key": wrapping,
                     "vault key": vault_key,
                     "content key": hkdf(vault_key, KEY_LEN, b"ecryptfs format 3 content key"),
                     "names key": hkdf(vault_key, KEY_LEN, b"ecryptfs format 3 names key"),
                     "document mac key": hkdf(vault_key, 32, b"ecryptfs vault document mac")})
        if signature(keys["content key"]) != document["keys"]["sig"]:
            raise ValueError(f"the {kind} slot gives another key than the document names")
    return keys


def signature(key):
    return hashlib.sha512(key).hexdigest()[:16]


def s2k(passphrase, salt):
    """The string-to-key function of ecryptfs-utils."""
    key = salt + passphrase
    for _ in range(65536):
        key = hashlib.sha512(key).digest()
    return key


def of_legacy(wrapped, password):
    """The key that wraps the mount passphrase in a file wrapped-passphrase of version 2."""
    if wrapped[:2] != b":\x02":
        raise ValueError("not of version 2")
    key = s2k(password, wrapped[2:10])
    if signature(key) != wrapped[10:26].decode():
        raise ValueError("the password is not that of the file")
    return key
