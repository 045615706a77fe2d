/*
 * Stands between SQLite and the system, by LD_PRELOAD: it makes calls on the
 * files of one database fail, and keeps a log of those that did something.
 * Linux with 64 bits.
 *
 *   FAULT_PATH     the database, absolute, without symbolic links
 *   FAULT_CONTROL  a file that holds a struct control; optional
 *   FAULT_LOG      the file to which the log is appended; optional
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, SHORT = 8, SYNC_WAL = 16 };

/* Shared with the test, which is the one that sets it. */
struct control {
	uint32_t attached; /* the shim is there */
	uint32_t calls;    /* the kinds of calls that fail */
	uint32_t error;
	int32_t nth;     /* the n-th of them fails, once; 0: none */
	uint32_t full;   /* the files must not grow beyond: */
	uint32_t unused;
	uint64_t size;   /* each */
};

/* A record of the log, before its data. Calls appear in the order in which they
 * took effect, and appending is atomic: the test adds records of its own. */
struct record {
	char kind; /* o open, w write, t truncate, u unlink, s sync, f sync that failed */
	char file; /* m main, w -wal, j -journal, i -shm, d their folder */
	char unused[2];
	uint32_t length;
	uint64_t offset;
};

static struct control none, *control = &none;
static int log_fd = -1;
static char path[PATH_MAX], folder[PATH_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void attach(void)
{
	const char *s = getenv("FAULT_PATH");
	if (!s)
		return;
	snprintf(path, sizeof path, "%s", s);
	snprintf(folder, sizeof folder, "%s", s);
	*strrchr(folder, '/') = 0;
	if ((s = getenv("FAULT_LOG")))
		log_fd = syscall(SYS_openat, AT_FDCWD, s, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
	if ((s = getenv("FAULT_CONTROL"))) {
		int fd = syscall(SYS_openat, AT_FDCWD, s, O_RDWR | O_CLOEXEC, 0);
		void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED)
			control = p;
		close(fd);
	}
	__atomic_store_n(&control->attached, 1, __ATOMIC_SEQ_CST);
}

/* which file has the name; 0: none of the database's */
static char which_name(const char *name)
{
	size_t n = strlen(path);
	if (!n)
		return 0;
	if (!strcmp(name, folder))
		return 'd';
	if (strncmp(name, path, n))
		return 0;
	name += n;
	return !*name ? 'm' : !strcmp(name, "-wal") ? 'w' : !strcmp(name, "-journal") ? 'j' : !strcmp(name, "-shm") ? 'i' : 0;
}

static char which(int fd)
{
	char link[40], name[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, name, sizeof name - 1);
	if (n < 0)
		return 0;
	name[n] = 0;
	return which_name(name);
}

static void record(char kind, char file, uint64_t offset, const void *data, size_t length)
{
	struct record r = {kind, file, {0}, length, offset};
	struct iovec v[] = {{&r, sizeof r}, {(void *)data, length}};
	if (log_fd < 0 || file == 'i')
		return;
	if (syscall(SYS_writev, log_fd, v, 2) != (long)(sizeof r + length))
		abort();
}

static int fails(uint32_t calls)
{
	if (!(__atomic_load_n(&control->calls, __ATOMIC_SEQ_CST) & calls) ||
	    __atomic_load_n(&control->nth, __ATOMIC_SEQ_CST) <= 0 ||
	    __atomic_sub_fetch(&control->nth, 1, __ATOMIC_SEQ_CST) != 0)
		return 0;
	errno = control->error;
	return 1;
}

static int64_t size_of(int fd)
{
	struct stat s;
	return fstat(fd, &s) ? 0 : s.st_size;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
	char file = which(fd);
	if (!file || file == 'd')
		return syscall(SYS_pwrite64, fd, data, length, offset);
	ssize_t n = -1;
	pthread_mutex_lock(&mutex);
	if (__atomic_load_n(&control->full, __ATOMIC_SEQ_CST)) {
		int64_t end = size_of(fd), most = __atomic_load_n(&control->size, __ATOMIC_SEQ_CST);
		if (end < most)
			end = most;
		if (offset >= end) {
			errno = ENOSPC;
			goto done;
		}
		if ((int64_t)length > end - offset)
			length = end - offset;
	}
	if (fails(WRITE))
		goto done;
	if (length > 1 && fails(SHORT)) {
		length /= 2;
		/* and the rest of it fails */
		control->calls = WRITE;
		__atomic_store_n(&control->nth, 1, __ATOMIC_SEQ_CST);
	}
	n = syscall(SYS_pwrite64, fd, data, length, offset);
	if (n > 0)
		record('w', file, offset, data, n);
done:;
	int e = errno;
	pthread_mutex_unlock(&mutex);
	errno = e;
	return n;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length)
{
	char file = which(fd);
	if (!file || file == 'd')
		return syscall(SYS_write, fd, data, length);
	off64_t at = lseek64(fd, 0, SEEK_CUR);
	ssize_t n = pwrite64(fd, data, length, at);
	if (n > 0)
		lseek64(fd, at + n, SEEK_SET);
	return n;
}

static int sync_(int fd, long call)
{
	char file = which(fd);
	if (!file)
		return syscall(call, fd);
	pthread_mutex_lock(&mutex);
	/* SQLite does not look whether a folder could be synced. */
	int failed = file != 'd' && (fails(SYNC) || (file == 'w' && fails(SYNC_WAL))), rc = failed ? -1 : syscall(call, fd), e = errno;
	record(rc ? 'f' : 's', file, 0, NULL, 0);
	pthread_mutex_unlock(&mutex);
	errno = e;
	return rc;
}

int fsync(int fd) { return sync_(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_(fd, SYS_fdatasync); }

int ftruncate64(int fd, off64_t size)
{
	char file = which(fd);
	if (!file)
		return syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&mutex);
	int failed = fails(TRUNCATE), rc = failed ? -1 : syscall(SYS_ftruncate, fd, size), e = errno;
	if (!rc)
		record('t', file, size, NULL, 0);
	pthread_mutex_unlock(&mutex);
	errno = e;
	return rc;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int open_(const char *name, int flags, va_list rest)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	char file = which_name(name);
	if (!file || file == 'd')
		return syscall(SYS_openat, AT_FDCWD, name, flags, mode);
	pthread_mutex_lock(&mutex);
	int fd = syscall(SYS_openat, AT_FDCWD, name, flags, mode), e = errno;
	if (fd >= 0)
		record('o', file, 0, NULL, 0);
	pthread_mutex_unlock(&mutex);
	errno = e;
	return fd;
}

int open(const char *name, int flags, ...)
{
	va_list rest;
	va_start(rest, flags);
	int fd = open_(name, flags, rest);
	va_end(rest);
	return fd;
}

int open64(const char *name, int flags, ...)
{
	va_list rest;
	va_start(rest, flags);
	int fd = open_(name, flags, rest);
	va_end(rest);
	return fd;
}

int unlink(const char *name)
{
	char file = which_name(name);
	if (!file)
		return syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	pthread_mutex_lock(&mutex);
	int rc = syscall(SYS_unlinkat, AT_FDCWD, name, 0), e = errno;
	if (!rc)
		record('u', file, 0, NULL, 0);
	pthread_mutex_unlock(&mutex);
	errno = e;
	return rc;
}
