# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For test scripts in sh that run inside the VM:   . "$GUEST/guest.sh"
#
#	check NAME COMMAND...	runs the command; "ok - NAME" or "FAILED - NAME" with its output
#	check_fails NAME COMMAND...	the same, where failing is right
#	skip NAME WHY		counts what could not be tried here, and why
#	count_passed N, count_failed N	adds what a program that counts by itself has counted
#	finish			prints "N passed, N failed, N skipped" and exits; nothing passed is a failure
#	wait_for SECONDS COMMAND...	until the command succeeds
#
#	serial_login USER PASSWORD	at the login: prompt on the serial line /dev/ttyS1; what it shows
#				since the last match stands in $serial_seen. 0 once a shell prompt came.
#	serial_type TEXT	types a line
#	serial_wait REGEX [SECONDS]	until the line shows the (grep -E) expression
#	serial_logout		ends the session, waits for the next login: prompt
#
# A script that ends without finish() prints no count, and tools/check takes that as a failure.
passed=0 failed=0 skipped=0
check_out=$(mktemp)	# not a pipe: the command runs in this shell, and may start what stays

check() {
	_name=$1
	shift
	read -r _start _ </proc/uptime
	if "$@" >"$check_out" 2>&1; then
		echo "ok - $_name"
		read -r _end _ </proc/uptime
		_seconds=$((${_end%.*} - ${_start%.*}))
		[ $_seconds -lt 5 ] || echo "# $_name: $_seconds s"
		passed=$((passed + 1))
	else
		_rc=$?
		echo "FAILED - $_name: $* exited $_rc"
		tail -n 30 "$check_out" | sed 's/^/    | /'
		failed=$((failed + 1))
		return 1
	fi
}

check_fails() {
	_name=$1
	shift
	if "$@" >"$check_out" 2>&1; then
		echo "FAILED - $_name: $* succeeded"
		tail -n 30 "$check_out" | sed 's/^/    | /'
		failed=$((failed + 1))
		return 1
	else
		_rc=$?
		echo "ok - $_name (exit $_rc)"
		passed=$((passed + 1))
	fi
}

skip() {
	echo "skipped - $1: $2"
	skipped=$((skipped + 1))
}

count_passed() { passed=$((passed + $1)); }
count_failed() { failed=$((failed + $1)); }

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit $?
}

wait_for() {
	_end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$_end" ] || return 1
		sleep 0.2
	done
}

# The other end of the getty's line: what arrives is kept in a file, and read from where the last
# match ended.
serial_tty=${SERIAL_TYPE:-/dev/ttyS2}
serial_log=/run/serial.log
serial_at=1
serial_seen=

serial_open() {
	[ -z "${serial_pid-}" ] || return 0
	stty -F "$serial_tty" raw -echo clocal || return 1
	: >"$serial_log"
	cat "$serial_tty" >>"$serial_log" 2>/dev/null &
	serial_pid=$!
}

serial_type() {
	serial_open && printf '%s\r' "$1" >"$serial_tty"
}

serial_wait() {
	_tries=$((${2:-30} * 5))
	while :; do
		serial_seen=$(tail -c "+$serial_at" "$serial_log" | tr -d '\r\000')
		if printf '%s' "$serial_seen" | grep -qE -- "$1"; then
			serial_at=$(($(stat -c %s "$serial_log") + 1))
			return 0
		fi
		[ $_tries -gt 0 ] || {
			printf 'waited for %s at %s, saw: %s\n' "$1" "$serial_tty" "$serial_seen"
			return 1
		}
		_tries=$((_tries - 1))
		sleep 0.2
	done
}

# At a fresh prompt: a line that shows one already is not disturbed.
serial_login() {
	serial_open || return 1
	if ! tail -c 7 "$serial_log" | grep -q 'login: $'; then
		serial_type '' && serial_wait 'login: $' || return 1
	fi
	serial_type "$1" && serial_wait 'Password: $' &&
		serial_type "$2" && serial_wait '[$#] $|incorrect' 60 || return 1
	case $serial_seen in
	*incorrect*)
		echo "$serial_seen"
		serial_wait 'login: $'
		return 1
		;;
	esac
}

serial_logout() {
	serial_type exit && serial_wait 'login: $' 60
}
