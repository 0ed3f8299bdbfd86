/* SPDX-License-Identifier: GPL-2.0-only */
/* Auth tokens of eCryptfs in kernel keyrings: type "user", named by 16 hex digits. */
#ifndef EC_MOUNT_KEYRING_H
#define EC_MOUNT_KEYRING_H

#include "kmod/uapi/ecfs.h"
#include "lib/kdf.h"

#include <stdint.h>

/* ring is a KEY_SPEC_* or a serial number. A key that is there already is kept. 0, errno. */
int ec_keyring_add(int32_t ring, const struct ecfs_mount_key *key);
/* Reads the token named by sig from the caller's user or session keyring. 0; -ENOKEY; -EBADMSG
 * for a payload that is no passphrase token; -EOPNOTSUPP for a key of type "encrypted", which
 * only the kernel can read. The caller wipes ret. */
int ec_keyring_find(const uint8_t sig[static EC_SIG_LEN], struct ecfs_mount_key *ret);
/* Unlinks "user" key sig from ring. 0 also if it is not there. */
int ec_keyring_unlink(int32_t ring, const uint8_t sig[static EC_SIG_LEN]);

#endif
