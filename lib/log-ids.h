/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Message ids of the journal: one for each message an administrator may act on, random, never
 * used again for another meaning. catalog/ has a text for each.
 */
#ifndef EC_LOG_IDS_H
#define EC_LOG_IDS_H

/* a vault was created */
#define EC_LOG_ID_VAULT_CREATED "1d41487ff7067f314dd93a188a318070"
/* a new vault got no recovery key, because nobody waited for it any more */
#define EC_LOG_ID_NO_RECOVERY_KEY "799d3b5f55ba2a7ba273f0647dfac085"
/* a directory vault was taken out of the register */
#define EC_LOG_ID_VAULT_FORGOTTEN "89b94e75106f075a89aed7deb97c3a99"
/* a secret opened no slot */
#define EC_LOG_ID_WRONG_SECRET "adfc254a8a27904215b624eb66d12448"
/* the plaintext of a vault is visible */
#define EC_LOG_ID_VAULT_MOUNTED "bfa004b4aa98dbc7187b9bad90665555"
/* a vault was unmounted and its keys wiped */
#define EC_LOG_ID_VAULT_LOCKED "76ade14b6c4514db0a7eba9162109c8c"
/* the worker could not mount */
#define EC_LOG_ID_MOUNT_FAILED "5dff05de1618ab14cf93bfe4bad77bef"
/* processes keep a home in use after the last session */
#define EC_LOG_ID_BUSY_AT_LOGOUT "21d2b8836ff59fdd252ce49e96b6d43e"
/* a busy mount was detached, its keys are gone */
#define EC_LOG_ID_VAULT_DETACHED "4df2445df64d4c8540b4c43133acc6c6"
/* the worker could not unmount */
#define EC_LOG_ID_UNMOUNT_FAILED "f4d11e67a1e763cdb1a9a5625e1597e2"
/* a vault document is unreadable or was altered */
#define EC_LOG_ID_DOCUMENT_DAMAGED "ae043179627956bb50f60112abe51f75"
/* a path has the wrong owner, type, or a symlink */
#define EC_LOG_ID_UNSAFE_PATH "8fd96a5548a12f286262807b829a230d"
/* a slot was wrapped with a new secret */
#define EC_LOG_ID_SECRET_CHANGED "ecd21eb2218004c14d53c035a87a326a"
/* a login password was set without the old one: the slot still has the old */
#define EC_LOG_ID_SECRET_STALE "ab2c725c5b8f5427082ceb636c4272eb"
/* a slot keeps its old secret because changing it failed */
#define EC_LOG_ID_SECRET_CHANGE_FAILED "3d533b456732629c65f85fade9134c54"
/* too many wrong secrets */
#define EC_LOG_ID_RATE_LIMITED "3c849d239e9bf5581289d207ed37f593"
/* a request was refused */
#define EC_LOG_ID_NOT_AUTHORIZED "915d791f0cbf22e63b8ffe507d6379b6"
/* the key helper crashed, hung or broke the protocol */
#define EC_LOG_ID_HELPER_FAILED "fb2754e21cf2367aef95fe0f26717e23"
/* the store crashed, hung or broke the protocol */
#define EC_LOG_ID_STORE_FAILED "976abe36fd14693ea030eb8dd823f946"
/* a mount worker crashed, hung or broke the protocol */
#define EC_LOG_ID_WORKER_FAILED "28acf44404884c92cc12edf68a306441"
/* a session uses a home */
#define EC_LOG_ID_SESSION_BEGUN "23d7364228eb3fd05d22934c1e8d9b3d"
/* the last session of a home is over */
#define EC_LOG_ID_SESSION_ENDED "4f925c414cbd50f8bc0d13ce26e9bd46"
/* a login went on although the home could not be opened */
#define EC_LOG_ID_LOGIN_WITHOUT_HOME "4a4d0731833212f755f2266e957e69a6"
/* ecfs is not available, the in-tree module mounts */
#define EC_LOG_ID_ENGINE_FALLBACK "c532c1f1b9fafafddb7484c4f46333bc"
/* ecryptfsd runs */
#define EC_LOG_ID_BROKER_STARTED "79911036a7acbad6e98323b9859ead84"
/* after a restart, mounts and sessions were taken over */
#define EC_LOG_ID_BROKER_STATE_RESTORED "643193c73729598652919abfff78211c"
/* ecryptfsd ends */
#define EC_LOG_ID_BROKER_STOPPED "c7e3c74be8af30ce0dafbda9a063ad16"

#endif
