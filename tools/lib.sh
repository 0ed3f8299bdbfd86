# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by the commands in tools/ and by tests/vm/run. Sourced, not run.
#
# Everything that is made stands under build/, keyed by a hash of what it was made from, so that a
# second run finds it. Long steps print one line when they begin and their time when they end;
# what they print goes to build/logs/.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
logs=$build/logs
tool=$(readlink -f "$0")
mkdir -p "$logs"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root"; }

# The Debian release of a guest kernel.
suite_of() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*) die "no guest with kernel $1 (there are 6.1 and 6.12)" ;;
	esac
}

# step LOG TEXT COMMAND...: runs the command with its output in build/logs/LOG.log, and says on
# stderr what is going on and how long it took. Shows the end of the log if it fails.
#
# A function runs in a process of its own, through dispatch(): bash forgets set -e in a function
# that is called where its failure is looked at.
step() {
	local log=$logs/$1.log text=$2 start=$SECONDS rc=0
	shift 2
	[ "$(type -t "$1")" != function ] || set -- "$tool" --call "$@"
	note "  ... $text"
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	if [ $rc -ne 0 ]; then
		note "  FAILED after $((SECONDS - start)) s: $text (${log#"$top"/}), its last lines:"
		tail -n 25 "$log" | sed 's/^/      | /' >&2
		return $rc
	fi
	note "      $((SECONDS - start)) s"
}

# dispatch LOCK "$@": the last line of a tool. Calls its main(), one process at a time, or the
# function that step() asks for.
dispatch() {
	local lock=$1
	shift
	if [ "${1-}" = --call ]; then
		shift
		"$@"
	else
		exec 9>"$build/$lock.lock"
		flock 9
		main "$@"
	fi
}

# hash_files FILE...: one hash of the names and contents of files below the top.
hash_files() {
	(cd "$top" && sha256sum -- "$@" | sha256sum | cut -c1-16)
}

# What older inputs made.
drop_others() {	# PATTERN KEEP
	local d
	for d in $1; do
		[ "$d" = "$2" ] || rm -rf "$d"
	done
}

# The source files below the paths: what git tracks, and what it would.
source_files() {
	git -C "$top" -c safe.directory="$top" ls-files -z --cached --others --exclude-standard -- "$@" |
		(cd "$top" && while IFS= read -r -d '' f; do [ -f "$f" ] && printf '%s\n' "$f"; done) |
		LC_ALL=C sort -u
}

hash_sources() {
	local files
	mapfile -t files < <(source_files "$@")
	[ ${#files[@]} -gt 0 ] || die "no sources in $*"
	hash_files "${files[@]}"
}

# The archive that this machine uses, as one-line sources for SUITE; KIND is deb or deb-src. A
# machine with no answer uses what mmdebstrap would: prints nothing then.
archive_lines() {
	local suite=$1 kind=${2:-deb} sites main security
	local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	# shellcheck disable=SC2016 # apt expands these
	sites=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | sort -u)
	main=$(awk '$2 ~ /^(bookworm|trixie|stable|oldstable)$/ { print $1; exit }' <<<"$sites")
	security=$(awk '$2 ~ /-security$/ { print $1; exit }' <<<"$sites")
	[ -n "$main" ] || return 0
	echo "$kind $signed $main $suite main"
	echo "$kind $signed $main $suite-updates main"
	[ -z "$security" ] || echo "$kind $signed $security $suite-security main"
}

# A Debian tree: bootstrap SUITE DIR OPTION... Appears complete or not at all.
bootstrap() {
	local suite=$1 dir=$2 lines opts=() line
	shift 2
	rm -rf "$dir.new"
	while IFS= read -r line; do
		[ -n "$line" ] && opts+=("--aptopt=$line")
	done < <(apt-config dump 2>/dev/null | grep -E '^Acquire::(http|https|Check)[A-Za-z:-]* "..*";')
	lines=$(archive_lines "$suite")
	if [ -n "$lines" ]; then
		mmdebstrap --mode=root --skip=check/empty "${opts[@]}" "$@" "$suite" "$dir.new" - <<<"$lines"
	else
		mmdebstrap --mode=root --skip=check/empty "${opts[@]}" "$@" "$suite" "$dir.new"
	fi || return
	rm -rf "$dir"
	mv "$dir.new" "$dir"
}

# in_tree DIR COMMAND...: runs the command in a tree, with /dev, /proc and /sys of a mount
# namespace that goes away with it. $bind may name directories as FROM:TO.
in_tree() {
	local dir=$1
	shift
	# shellcheck disable=SC2016 # expanded inside
	bind=${bind-} unshare --mount --propagation private bash -euc '
		dir=$1; shift
		mount --bind "$dir" "$dir"
		mount --rbind /dev "$dir/dev"
		mount -t proc proc "$dir/proc"
		for b in $bind; do
			mkdir -p "$dir/${b#*:}"
			mount --bind "${b%%:*}" "$dir/${b#*:}"
		done
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive TERM=dumb chroot "$dir" "$@"
	' in_tree "$dir" "$@"
}
