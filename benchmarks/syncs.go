package main

/*
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

// The C code of this program, SQLite's too, calls these in place of libc's.
static long long syncs;

int fsync(int fd) {
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	return syscall(SYS_fdatasync, fd);
}

static long long count_syncs(void) { return __atomic_load_n(&syncs, __ATOMIC_RELAXED); }
*/
import "C"

// syncs returns how often SQLite has waited for the disk in this process. It
// does not see PocketBase's SQLite, which is no C.
func syncs() int { return int(C.count_syncs()) }
