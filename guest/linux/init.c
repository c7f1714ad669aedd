/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the first process of a Linux machine: mounts, starts one program, reaps, and tells the
 * host how the program ended. It is not on the way of an event.
 *
 * The kernel's command line says what to do:
 *
 *	thaw.root=DEVICE	the program's root: a file system that is only read (erofs, ext4),
 *	thaw.upper=DEVICE	and an ext4 above it that takes what is written; else memory does
 *	thaw.data=DEVICE	an ext4 on /data
 *	thaw.terminal		the program has the console, and no events; /bin/sh if none is named
 *	thaw.noavx		glibc is to keep off AVX: the kernel does not save its registers
 *	-- PROGRAM ARGS...	the program: words without spaces
 *
 * An initramfs may bring the files /thaw/argv, in place of what follows the dashes, and /thaw/env:
 * strings that end with NUL. What else it brings is also to be found in the program's root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRINGS_MAX  256     /* ours: arguments, or variables */
#define BYTES_MAX    0x10000 /* ours: of /thaw/argv or /thaw/env */
#define PATIENCE_S   5	     /* ours: with processes that are to end */
#define POWER_BUTTON 38	     /* the kernel's CONFIG_ACPI_TINY_POWER_BUTTON_SIGNAL */
#define FOLDERS_MAX  16	     /* ours: open at a time */
#define FILES	     "/thaw/files"
#define NO_AVX                                                                                 \
	"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,"   \
	"-AVX512CD,-FMA,-FMA4,-AVX_Fast_Unaligned_Load,-XSAVE,-XSAVEC"

struct options {
	const char *root, *upper, *data;
	int terminal, no_avx;
};

static struct options options;
static char *strings[STRINGS_MAX + 1], *variables[STRINGS_MAX + 1];
static int upper = -1; /* the disk above the root, to which no path leads any more */

/* ---- the end ---- */

/* Reap until no process is left, or for so long. */
static void processes_reap(void)
{
	sigset_t signals;
	pid_t ended;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGALRM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	alarm(PATIENCE_S);
	do {
		do
			ended = waitpid(-1, NULL, WNOHANG);
		while (ended > 0);
	} while (ended == 0 && sigwaitinfo(&signals, NULL) != SIGALRM);
	alarm(0);
}

/* An interactive shell minds only SIGHUP, and one that is stopped nothing. */
static void processes_end(void)
{
	kill(-1, SIGTERM);
	kill(-1, SIGHUP);
	kill(-1, SIGCONT);
	processes_reap();
	kill(-1, SIGKILL);
	processes_reap();
}

/* Disks have all that was written, and a file system that says so. */
static void unmount(void)
{
	char path[32];

	sync();
	umount("/data");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", upper);
	if (upper >= 0)
		mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

/* What ends late shows on the terminal, and unmounting waits for those that write. */
static int must_wait(void)
{
	return options.terminal || options.upper || options.data;
}

/* Where there is an event device, that is the end of the machine. */
static void host_tell(int fd, int status)
{
	char digits[12];

	if (fd >= 0 && write(fd, digits, (size_t)sprintf(digits, "%d", status)) < 0)
		fprintf(stderr, "init: the host cannot be told of the end: %s\n",
			strerror(errno));
}

/* Ends the machine, at once if it may be: somebody waits for what the host is told. Where there is no
 * event device it sees a reset: without ACPI a kernel that is to power off only stands still. */
static _Noreturn void end(int status)
{
	int fd = open("/dev/thaw-exit", O_WRONLY | O_CLOEXEC);

	if (!must_wait()) {
		sync();
		host_tell(fd, status);
	}
	processes_end();
	unmount();
	host_tell(fd, status);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static _Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	fputs("init: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(error));
	va_end(args);
	end(126);
}

/* ---- what to do ---- */

static void option(const char *word)
{
	static const struct {
		const char *name;
		const char **value;
	} valued[] = {
		{ "thaw.root=", &options.root },
		{ "thaw.upper=", &options.upper },
		{ "thaw.data=", &options.data },
	};

	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++) {
		size_t name = strlen(valued[i].name);

		if (strncmp(word, valued[i].name, name) == 0)
			*valued[i].value = word + name;
	}
	if (strcmp(word, "thaw.terminal") == 0)
		options.terminal = 1;
	if (strcmp(word, "thaw.noavx") == 0)
		options.no_avx = 1;
}

/* A file's bytes, with a NUL behind them; NULL when there is none. */
static char *file_bytes(const char *path, size_t *size)
{
	char *bytes = malloc(BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*size = 0;
	if (fd < 0 || !bytes) {
		free(bytes);
		return NULL;
	}
	while (*size < BYTES_MAX && (n = read(fd, bytes + *size, BYTES_MAX - *size)) > 0)
		*size += (size_t)n;
	close(fd);
	bytes[*size] = 0;
	return bytes;
}

/*
 * The kernel's own command line: our arguments also hold what the kernel did not know. Behind the
 * dashes is the program, unless a file names it.
 */
static void command_line_read(void)
{
	size_t size;
	int count = -1; /* of the program's words */
	char *line = file_bytes("/proc/cmdline", &size);
	char *word = line ? strtok(line, " \n") : NULL;

	for (; word; word = strtok(NULL, " \n")) {
		if (count < 0 && strcmp(word, "--") == 0)
			count = 0;
		else if (count < 0)
			option(word);
		else if (count < STRINGS_MAX)
			strings[count++] = word;
	}
}

/* The strings of a file, as far as there is room. */
static void strings_read(const char *path, char **list)
{
	size_t size;
	char *bytes = file_bytes(path, &size);
	int count = 0;

	for (char *s = bytes; bytes && s < bytes + size && count < STRINGS_MAX;
	     s += strlen(s) + 1)
		list[count++] = s;
}

/* Add @variable, NAME=value, unless the name has a value. */
static void variable_add(char *variable)
{
	size_t name = (size_t)(strchr(variable, '=') - variable) + 1;
	int i = 0;

	while (variables[i] && strncmp(variables[i], variable, name) != 0)
		i++;
	if (!variables[i] && i < STRINGS_MAX)
		variables[i] = variable;
}

static void variables_read(void)
{
	static char path[] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char home[] = "HOME=/root", term[] = "TERM=vt102", no_avx[] = NO_AVX;

	strings_read("/thaw/env", variables);
	variable_add(path);
	variable_add(home);
	if (options.terminal)
		variable_add(term);
	if (options.no_avx)
		variable_add(no_avx);
	environ = variables;
}

static void program_read(void)
{
	static char shell[] = "/bin/sh";

	strings_read("/thaw/argv", strings);
	if (!strings[0] && options.terminal)
		strings[0] = shell;
}

/* ---- mounts ---- */

/* A file system that the kernel may do without (sysfs). */
static int try_mount(const char *device, const char *on, const char *type, const char *data)
{
	mkdir(on, 0755);
	return mount(device, on, type, 0, data);
}

static void must_mount(const char *device, const char *on, const char *type, const char *data)
{
	if (try_mount(device, on, type, data) < 0)
		fail("cannot mount %s (%s) on %s", device, type, on);
}

static void mount_base(void)
{
	must_mount("devtmpfs", "/dev", "devtmpfs", NULL);
	must_mount("proc", "/proc", "proc", NULL);
	try_mount("sysfs", "/sys", "sysfs", NULL);
}

static void mount_lower(const char *device)
{
	mkdir("/lower", 0755);
	if (mount(device, "/lower", "erofs", MS_RDONLY, NULL) < 0 &&
	    mount(device, "/lower", "ext4", MS_RDONLY, NULL) < 0)
		fail("%s holds neither erofs nor ext4", device);
}

static void mount_upper(void)
{
	if (!options.upper) {
		must_mount("tmpfs", "/upper", "tmpfs", "mode=0755");
		return;
	}
	must_mount(options.upper, "/upper", "ext4", NULL);
	upper = open("/upper", O_PATH | O_CLOEXEC);
}

static int is_ours(const char *name)
{
	static const char *const ours[] = { ".", "..", "init", "thaw" };
	size_t i = 0;

	while (i < sizeof(ours) / sizeof(ours[0]) && strcmp(name, ours[i]) != 0)
		i++;
	return i < sizeof(ours) / sizeof(ours[0]);
}

/*
 * Files that came beside us go to a folder of their own, to be seen above the root. Those below
 * mount points stay where they are. Returns how many there were.
 */
static int files_gather(void)
{
	char from[2 + NAME_MAX], to[sizeof(FILES) + 1 + NAME_MAX];
	DIR *dir = opendir("/");
	struct dirent *e;
	int count = 0;

	mkdir("/thaw", 0755);
	mkdir(FILES, 0755);
	rmdir("/root"); /* the kernel's, which is empty */
	while (dir && (e = readdir(dir)) != NULL) {
		snprintf(from, sizeof(from), "/%s", e->d_name);
		snprintf(to, sizeof(to), FILES "/%s", e->d_name);
		if (!is_ours(e->d_name))
			count += rename(from, to) == 0;
	}
	if (dir)
		closedir(dir);
	return count;
}

/* A folder that both layers have would be as the upper one is, whose mode was never meant for a guest. */
static int folder_adopt(const char *path, const struct stat *ours, int type, struct FTW *at)
{
	char below[PATH_MAX];
	struct stat theirs;

	(void)ours;
	(void)at;
	snprintf(below, sizeof(below), "/lower%s", path + sizeof(FILES) - 1);
	if (type != FTW_D || lstat(below, &theirs) < 0 || !S_ISDIR(theirs.st_mode))
		return 0;
	if (chown(path, theirs.st_uid, theirs.st_gid) < 0 ||
	    chmod(path, theirs.st_mode & 07777) < 0)
		fail("cannot have %s as in the root", path);
	return 0;
}

static void files_adopt(void)
{
	if (nftw(FILES, folder_adopt, FOLDERS_MAX, FTW_PHYS) < 0)
		fail("cannot look through the files that came beside init");
}

static void mount_overlay(const char *lower)
{
	char data[128];

	mkdir("/upper/files", 0755);
	mkdir("/upper/work", 0755);
	snprintf(data, sizeof(data), "lowerdir=%s,upperdir=/upper/files,workdir=/upper/work",
		 lower);
	must_mount("overlay", "/root", "overlay", data);
}

/* The read-only root with an overlay above it becomes /, and has the kernel's file systems. */
static void mount_root(void)
{
	static const char *const kept[] = { "/dev", "/proc", "/sys" };
	char there[32];
	int files;

	if (!options.root)
		return;
	files = files_gather();
	mount_lower(options.root);
	mount_upper();
	if (files > 0)
		files_adopt();
	mount_overlay(files > 0 ? FILES ":/lower" : "/lower");
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(there, sizeof(there), "/root%s", kept[i]);
		mkdir(there, 0755);
		mount(kept[i], there, NULL, MS_MOVE, NULL);
	}
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		fail("cannot make %s the root", options.root);
}

static void mount_rest(void)
{
	try_mount("devpts", "/dev/pts", "devpts", NULL);
	must_mount("tmpfs", "/tmp", "tmpfs", "mode=1777");
	must_mount("tmpfs", "/run", "tmpfs", "mode=0755");
	if (options.data)
		must_mount(options.data, "/data", "ext4", NULL);
}

/* ---- the program ---- */

/* Have descriptor @fd be @path; a descriptor that cannot be is /dev/null, else closed. */
static void open_as(int fd, const char *path, int flags)
{
	int opened = open(path, flags);

	if (opened < 0)
		opened = open("/dev/null", O_RDWR);
	if (opened >= 0 && opened != fd) {
		dup2(opened, fd);
		close(opened);
	}
}

/* Our own words go where the program's do. */
static void open_log(void)
{
	const char *out = options.terminal ? "/dev/console" : "/dev/thaw-log1";
	const char *err = options.terminal ? "/dev/console" : "/dev/thaw-log2";

	if (access("/dev/thaw-log1", F_OK) < 0)
		out = err = "/dev/console";
	open_as(0, options.terminal ? "/dev/console" : "/dev/null", O_RDWR);
	open_as(1, out, O_WRONLY);
	open_as(2, err, O_WRONLY);
}

static _Noreturn void program_start(const sigset_t *unblocked)
{
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	setsid();
	if (options.terminal) {
		ioctl(0, TIOCSCTTY, 0);
	} else {
		open_as(3, "/dev/thaw-event", O_RDONLY);
		open_as(4, "/dev/thaw-reply", O_WRONLY);
	}
	execvp(strings[0], strings);
	fprintf(stderr, "init: cannot start %s: %s\n", strings[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* What says that it is time to end: the power button; and BusyBox's reboot, halt and poweroff. */
static const int ends[] = { POWER_BUTTON, SIGTERM, SIGUSR1, SIGUSR2 };

/* They and the end of a child are waited for (program_wait): to the first process no signal comes
 * that it neither handles nor blocks. */
static sigset_t signals_block(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, before);
	return set;
}

/* As a shell tells it. */
static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Returns the exit status of @program; 0 when the machine is to end before. */
static int program_wait(pid_t program, const sigset_t *signals)
{
	int status;
	pid_t ended;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal > 0 && signal != SIGCHLD)
			return 0;
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
			if (ended == program)
				return exit_status(status);
		}
	}
}

int main(void)
{
	sigset_t before, signals = signals_block(&before);
	pid_t program;

	mount_base();
	command_line_read();
	open_log();
	program_read();
	variables_read();
	mount_root();
	mount_rest();
	if (!strings[0]) {
		errno = EINVAL;
		fail("no program is named");
	}
	program = fork();
	if (program < 0)
		fail("cannot fork");
	if (program == 0)
		program_start(&before);
	end(program_wait(program, &signals));
}
