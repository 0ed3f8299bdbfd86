/* SPDX-License-Identifier: GPL-2.0-only */
/* The checks of doctor that read files of the system. */
#include "ctl/doctor.h"

#include "lib/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void ctl_doctor_add(json_t *checks, enum ctl_verdict verdict, const char *name, const char *next,
		    const char *format, ...)
{
	static const char *const statuses[] = { "ok", "warn", "fail" };
	_cleanup_free_ char *text = NULL;
	json_t *check;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	check = json_pack("{s:s, s:s, s:s?, s:s?}", "name", name, "status", statuses[verdict],
			  "text", text, "next", next);
	json_array_append_new(checks, check ? check : json_null());
}

__attribute__((format(printf, 2, 3)))
static FILE *open_below(const char *root, const char *format, ...)
{
	char path[PATH_MAX], relative[PATH_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(relative, sizeof(relative), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(relative))
		return NULL;
	n = snprintf(path, sizeof(path), "%s%s", root, relative);
	if (n < 0 || (size_t)n >= sizeof(path))
		return NULL;
	return fopen(path, "re");
}

/*
 * The module.
 */

/* Does a list of modules name NAME.ko, with whatever compression? */
static bool listed(FILE *file, const char *name)
{
	char line[PATH_MAX], want[64];

	if (!file)
		return false;
	snprintf(want, sizeof(want), "/%s.ko", name);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, ":\n")] = '\0';
		if (strstr(line, want))
			return true;
	}
	return false;
}

static bool module_is_there(const char *root, const char *release, const char *name)
{
	_cleanup_fclose_ FILE *dep = open_below(root, "/lib/modules/%s/modules.dep", release);
	_cleanup_fclose_ FILE *builtin = open_below(root, "/lib/modules/%s/modules.builtin",
						     release);

	return listed(dep, name) || listed(builtin, name);
}

static bool filesystem_is_registered(const char *root, const char *name)
{
	_cleanup_fclose_ FILE *file = open_below(root, "/proc/filesystems");
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strrchr(line, '\t') && !strcmp(strrchr(line, '\t') + 1, name))
			return true;
	}
	return false;
}

/* 2: loaded, 1: can be loaded, 0: no */
static int availability(const char *root, const char *release, const char *name)
{
	if (filesystem_is_registered(root, name))
		return 2;
	return module_is_there(root, release, name);
}

void ctl_doctor_module(json_t *checks, const char *root, const char *release)
{
	int ecfs = availability(root, release, "ecfs");
	int intree = availability(root, release, "ecryptfs");

	if (ecfs)
		ctl_doctor_add(checks, CTL_OK, "module", NULL, "ecfs %s", ecfs == 2 ?
			       "is loaded" : "is installed and will be loaded when it is needed");
	else if (intree)
		ctl_doctor_add(checks, CTL_WARN, "module", "apt install ecfs-dkms",
			       "ecfs is not there for kernel %s; the kernel's own ecryptfs mounts "
			       "instead", release);
	else
		ctl_doctor_add(checks, CTL_FAIL, "module", "apt install ecfs-dkms",
			       "neither ecfs nor ecryptfs is there for kernel %s: nothing can be "
			       "mounted", release);
}

/*
 * The PAM stacks.
 */
#define N_LINES 128

struct pam_line {
	char type[16];
	char module[64];
	char arguments[64];
};

struct pam_stack {
	struct pam_line lines[N_LINES];
	size_t n_lines;
};

/* "type control module arguments", where control may be "[a=b c=d]". */
static bool parse_pam_line(char *text, struct pam_line *ret)
{
	char *type = strtok(text, " \t\n"), *rest = strtok(NULL, "\n"), *module, *slash;

	if (!type || type[0] == '#' || type[0] == '@' || !rest)
		return false;
	rest += strspn(rest, " \t");
	rest += rest[0] == '[' ? strcspn(rest, "]") : strcspn(rest, " \t");
	rest += rest[0] == ']';
	module = strtok(rest, " \t");
	if (!module)
		return false;
	slash = strrchr(module, '/');
	rest = strtok(NULL, "#");
	snprintf(ret->type, sizeof(ret->type), "%s", type + (type[0] == '-'));
	snprintf(ret->module, sizeof(ret->module), "%s", slash ? slash + 1 : module);
	snprintf(ret->arguments, sizeof(ret->arguments), "%s", rest ? rest : "");
	return true;
}

static bool read_stack(const char *root, const char *name, struct pam_stack *ret)
{
	_cleanup_fclose_ FILE *file = open_below(root, "/etc/pam.d/%s", name);
	char text[1024];

	ret->n_lines = 0;
	if (!file)
		return false;
	while (ret->n_lines < N_LINES && fgets(text, sizeof(text), file))
		if (parse_pam_line(text, &ret->lines[ret->n_lines]))
			ret->n_lines++;
	return true;
}

/* Place of a module among the lines of type, or -1. */
static int place(const struct pam_stack *stack, const char *type, const char *module)
{
	size_t i;

	for (i = 0; i < stack->n_lines; i++)
		if (!strcmp(stack->lines[i].type, type) &&
		    !strcmp(stack->lines[i].module, module))
			return (int)i;
	return -1;
}

/* Where we must stand: behind one module, in front of another; each may be NULL. */
struct pam_rule {
	const char *file;
	const char *type;
	const char *behind;
	const char *before;
	bool optional;		/* not every system has the file */
};

static const struct pam_rule pam_rules[] = {
	{ "common-auth", "auth", "pam_unix.so", NULL, false },
	{ "common-session", "session", NULL, "pam_systemd.so", false },
	{ "common-session-noninteractive", "session", NULL, NULL, true },
	{ "common-password", "password", "pam_unix.so", NULL, false },
};

#define PAM_NEXT "pam-auth-update --enable ecryptfs"

static void check_order(json_t *checks, const struct pam_rule *rule, const struct pam_stack *stack,
			int ours)
{
	int behind = rule->behind ? place(stack, rule->type, rule->behind) : -1;
	int before = rule->before ? place(stack, rule->type, rule->before) : -1;

	if (strstr(stack->lines[ours].arguments, "unwrap"))
		ctl_doctor_add(checks, CTL_WARN, "pam", "pam-auth-update", "%s: the line of "
			       "pam_ecryptfs is that of ecryptfs-utils", rule->file);
	else if (behind >= 0 && ours < behind)
		ctl_doctor_add(checks, CTL_FAIL, "pam", "pam-auth-update", "%s: pam_ecryptfs must "
			       "come after %s", rule->file, rule->behind);
	else if (before >= 0 && ours > before)
		ctl_doctor_add(checks, CTL_FAIL, "pam", "pam-auth-update", "%s: pam_ecryptfs must "
			       "come before %s, or the user's services start in a closed home",
			       rule->file, rule->before);
	else
		ctl_doctor_add(checks, CTL_OK, "pam", NULL, "%s has pam_ecryptfs in its place",
			       rule->file);
}

void ctl_doctor_pam(json_t *checks, const char *root)
{
	struct pam_stack stack;
	size_t i;
	int ours;

	for (i = 0; i < sizeof(pam_rules) / sizeof(pam_rules[0]); i++) {
		const struct pam_rule *rule = &pam_rules[i];

		if (!read_stack(root, rule->file, &stack)) {
			if (!rule->optional)
				ctl_doctor_add(checks, CTL_WARN, "pam", NULL, "/etc/pam.d/%s "
					       "cannot be read: look for pam_ecryptfs.so in your "
					       "stacks yourself", rule->file);
			continue;
		}
		ours = place(&stack, rule->type, "pam_ecryptfs.so");
		if (ours < 0)
			ctl_doctor_add(checks, CTL_FAIL, "pam", PAM_NEXT, "%s has no line for "
				       "pam_ecryptfs: logins open no home", rule->file);
		else
			check_order(checks, rule, &stack, ours);
	}
}

/*
 * Swap.
 */

/* Is the block device, or all that lies below it, encrypted by device mapper? */
static bool is_encrypted(const char *root, const char *device, int depth)
{
	_cleanup_fclose_ FILE *file = open_below(root, "/sys/class/block/%s/dm/uuid", device);
	char uuid[128] = "", path[PATH_MAX];
	bool all = false;
	struct dirent *entry;
	DIR *dir;

	if (!strncmp(device, "zram", 4))
		return true;	/* memory */
	if (file && fgets(uuid, sizeof(uuid), file) && !strncmp(uuid, "CRYPT-", 6))
		return true;
	if (depth > 8)
		return false;
	snprintf(path, sizeof(path), "%s/sys/class/block/%s/slaves", root, device);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		all = is_encrypted(root, entry->d_name, depth + 1);
		if (!all)
			break;
	}
	if (dir)
		closedir(dir);
	return all;
}

/* The kernel's name ("dm-0") of a path in /dev, or of the device that a file lies on. */
static bool device_name(const char *root, const char *path, bool is_file, char ret[static 256])
{
	char whole[PATH_MAX], target[PATH_MAX], link[64];
	const char *base;
	struct stat st;
	ssize_t n;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	if (!is_file) {
		base = realpath(whole, target) ? strrchr(target, '/') + 1 : strrchr(path, '/') + 1;
		snprintf(ret, 256, "%.255s", base);
		return true;
	}
	if (stat(whole, &st) < 0)
		return false;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	snprintf(whole, sizeof(whole), "%s%s", root, link);
	n = readlink(whole, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(ret, 256, "%.255s", base ? base + 1 : target);
	return true;
}

static bool can_hibernate(const char *root)
{
	_cleanup_fclose_ FILE *state = open_below(root, "/sys/power/state");
	_cleanup_fclose_ FILE *disk = open_below(root, "/sys/power/disk");
	char line[256] = "", mode[256] = "";

	return state && fgets(line, sizeof(line), state) && strstr(line, "disk") &&
	       disk && fgets(mode, sizeof(mode), disk) && !strstr(mode, "[disabled]");
}

/* One line of /proc/swaps; true if plaintext may come to a disk. */
static bool check_swap_line(json_t *checks, const char *root, const char *line)
{
	char path[1024], type[32], device[256];

	if (sscanf(line, "%1023s %31s", path, type) != 2 || path[0] != '/')
		return false;
	if (!device_name(root, path, !strcmp(type, "file"), device)) {
		ctl_doctor_add(checks, CTL_WARN, "swap", NULL, "swap on %s: cannot tell whether "
			       "that is encrypted", path);
		return true;
	}
	if (is_encrypted(root, device, 0)) {
		ctl_doctor_add(checks, CTL_OK, "swap", NULL, "swap on %s is encrypted, or memory",
			       path);
		return false;
	}
	ctl_doctor_add(checks, CTL_WARN, "swap", "man crypttab", "swap on %s is not encrypted: "
		       "what open files hold may be written there", path);
	return true;
}

void ctl_doctor_swap(json_t *checks, const char *root)
{
	_cleanup_fclose_ FILE *file = open_below(root, "/proc/swaps");
	bool any = false, leaks = false;
	char line[1200];

	if (!file) {
		ctl_doctor_add(checks, CTL_WARN, "swap", NULL, "/proc/swaps cannot be read");
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		if (line[0] != '/')
			continue;
		any = true;
		leaks |= check_swap_line(checks, root, line);
	}
	if (!any)
		ctl_doctor_add(checks, CTL_OK, "swap", NULL, "there is no swap");
	if (leaks && can_hibernate(root))
		ctl_doctor_add(checks, CTL_WARN, "hibernation", "systemctl mask hibernate.target "
			       "hybrid-sleep.target suspend-then-hibernate.target",
			       "hibernation would write the keys of open vaults to the disk");
	else
		ctl_doctor_add(checks, CTL_OK, "hibernation", NULL, leaks ?
			       "the kernel cannot hibernate" :
			       "hibernation writes nothing in the clear");
}

/*
 * Keyrings: /proc/keys shows those that the caller may see; root sees no more than others.
 */
static bool is_signature(const char *text)
{
	return strspn(text, "0123456789abcdef") == 16 && (text[16] == ':' || text[16] == '\n' ||
							   text[16] == '\0');
}

/* "ID FLAGS USAGE TIMEOUT PERM UID GID TYPE DESCRIPTION: ..." */
static bool is_ecryptfs_key(const char *line)
{
	char type[32], description[256];

	if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %31s %255[^\n]", type, description) != 2)
		return false;
	if (strcmp(type, "user") && strcmp(type, "encrypted") && strcmp(type, "logon"))
		return false;
	return is_signature(description);
}

void ctl_doctor_keyrings(json_t *checks, const char *root)
{
	_cleanup_fclose_ FILE *file = open_below(root, "/proc/keys");
	unsigned int n = 0;
	char line[1024];

	if (!file) {
		ctl_doctor_add(checks, CTL_WARN, "keyrings", NULL, "/proc/keys cannot be read");
		return;
	}
	while (fgets(line, sizeof(line), file))
		n += is_ecryptfs_key(line);
	if (n)
		ctl_doctor_add(checks, CTL_WARN, "keyrings", "keyctl show @u",
			       "%u eCryptfs key%s in keyrings: a mount of ecryptfs-utils is open, "
			       "or was left behind", n, n == 1 ? " is" : "s are");
	else
		ctl_doctor_add(checks, CTL_OK, "keyrings", NULL,
			       "no eCryptfs key is in a keyring that you may see; "
			       "those of another user, that user sees");
}

/*
 * The drop-in that keeps the home open until the user's services have stopped.
 */
static bool has_drop_in(const char *root, const char *directory)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s%s/user@.service.d", root, directory);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		found = strstr(entry->d_name, "ecryptfs") != NULL;
	if (dir)
		closedir(dir);
	return found;
}

void ctl_doctor_order(json_t *checks, const char *root)
{
	if (has_drop_in(root, "/usr/lib/systemd/system") ||
	    has_drop_in(root, "/lib/systemd/system") || has_drop_in(root, "/etc/systemd/system"))
		ctl_doctor_add(checks, CTL_OK, "order", NULL,
			       "the user's services start after the home opens and stop before it "
			       "closes");
	else
		ctl_doctor_add(checks, CTL_FAIL, "order", "apt install --reinstall ecryptfsd",
			       "user@.service has no drop-in of ecryptfsd: the home stays busy at "
			       "logout");
}
