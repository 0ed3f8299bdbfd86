# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
title a file, its name, and the same as JSON
cd "$VECTORS"/aes128-names-fn16/lower || exit 1
file=$(find . -maxdepth 1 -type f | LC_ALL=C sort | sed -n 2p)
t ecryptfsctl inspect "$file"
t ecryptfsctl --json=short inspect "$file"
t ecryptfsctl --json=pretty inspect "$file"

title a symbolic link shows the name that it points to
link=$(find . -type l | LC_ALL=C sort | sed -n 1p)
t ecryptfsctl inspect "$link"

title other ciphers
cd ../../des3/lower || exit 1
t ecryptfsctl inspect "$(find . -maxdepth 1 -type f | LC_ALL=C sort | sed -n 2p)"
cd ../../aes192-names2/lower || exit 1
t ecryptfsctl inspect "$(find . -type f | LC_ALL=C sort | sed -n 1p)"

title metadata in the extended attribute
cd ../../aes128-xattr/lower || exit 1
t ecryptfsctl inspect "$(find . -type f | LC_ALL=C sort | sed -n 1p)"

title cut off, empty, altered, not ours, not a file
cd "$SCRATCH" || exit 1
whole=$(find "$VECTORS/aes128/lower" -type f -size +8k | LC_ALL=C sort | sed -n 1p)
: >empty
t ecryptfsctl inspect empty
for n in 1 8 15 16 19 20 25 26 40 60 100; do
	head -c $n "$whole" >"cut"
	t ecryptfsctl inspect cut
done
head -c 8192 "$whole" >no-data
t ecryptfsctl inspect no-data
cp "$whole" version-9
printf '\011' | dd of=version-9 bs=1 seek=16 conv=notrunc 2>/dev/null
t ecryptfsctl inspect version-9
echo plain >plain
t ecryptfsctl inspect plain
mkfifo fifo
t ecryptfsctl inspect fifo
t ecryptfsctl inspect .
t ecryptfsctl inspect missing
t ecryptfsctl inspect missing plain empty
t ecryptfsctl --json=short inspect plain
cp "$whole" ECRYPTFS_FNEK_ENCRYPTED.notaname
t ecryptfsctl inspect ECRYPTFS_FNEK_ENCRYPTED.notaname | tail -n 4
