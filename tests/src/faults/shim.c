/*
 * Put under a program with LD_PRELOAD, in tests only. It does two things:
 *
 * 1. It journals what the program does to the files below some directories, in the order in which the kernel
 *    did it, and above all when a sync has ended. From the journal a test works out what a disk may hold after
 *    a power cut (journal.rs reads it, disk.rs has the model).
 * 2. It shifts the wall clock by what a small shared file says, so that a test can make the clock of a running
 *    program jump. The monotonic clock is left alone, as it is where people set the time.
 *
 * Told by the environment:
 *   PORTCULLIS_SHIM_WATCH    directories, absolute, with colons between them
 *   PORTCULLIS_SHIM_JOURNAL  the file that the journal is appended to; survives SIGKILL, as the kernel has it
 *   PORTCULLIS_SHIM_CLOCK    a file of eight bytes: the wall clock's offset in milliseconds
 *
 * The functions here are the ones that Rust's std and sled 0.34 call (`nm -D`), with their 64-bit twins. What
 * they do not use (mmap of a file, fallocate, link, copy_file_range) is not journaled; a test that compares the
 * replayed journal with the directory would notice. Everything goes straight to the kernel by syscall(): what is
 * interposed is also what the dynamic linker would find first, so there is no libc function to fall back on.
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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN = 1, WRITE, TRUNCATE, RENAME, REMOVE, MAKE_DIRECTORY, SYNC_BEGIN, SYNC_END };
enum { CREATED = 1, TRUNCATED = 2, DIRECTORY = 4 };

/* What every record begins with; then the path, the second path and the data. */
struct header {
    uint32_t kind, flags, path, path2;
    uint64_t inode, number, data;
};

enum { MAX_FD = 65536, MAX_ROOTS = 8 };

static char roots_text[4 * PATH_MAX];
static const char *roots[MAX_ROOTS];
static int root_count;
static int journal = -1;
static const _Atomic int64_t *clock_offset; /* milliseconds */

/* Descriptors of watched files: their inode, or 0. */
static _Atomic uint64_t watched[MAX_FD];

/* Held around an operation and its record, so that the journal has the kernel's order. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static uint32_t syncs;

/* Without its journal a test would prove nothing: better that the program does not run. */
static void fail(const char *what) {
    fprintf(stderr, "fault shim: %s: %s\n", what, strerror(errno));
    abort();
}

/* The test kills the program only while it has the journal locked for itself (shim.rs). Otherwise SIGKILL could come
 * after an operation and before its record: the kernel would have something that the journal has not. */
static void begin(void) {
    pthread_mutex_lock(&order);
    while (syscall(SYS_flock, journal, LOCK_SH))
        if (errno != EINTR) fail("cannot lock the journal");
}

static void end(void) {
    syscall(SYS_flock, journal, LOCK_UN);
    pthread_mutex_unlock(&order);
}

/* A program that returns from main or calls exit() ends between two operations, too. After this nothing is done to
 * files any more. */
__attribute__((destructor)) static void finish(void) {
    if (journal >= 0) pthread_mutex_lock(&order);
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("PORTCULLIS_SHIM_CLOCK");
    if (path) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (fd < 0) fail(path);
        void *shared = mmap(NULL, sizeof *clock_offset, PROT_READ, MAP_SHARED, fd, 0);
        if (shared == MAP_FAILED) fail(path);
        clock_offset = shared;
        syscall(SYS_close, fd);
    }
    path = getenv("PORTCULLIS_SHIM_JOURNAL");
    if (!path) return;
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0) fail(path);
    const char *watch = getenv("PORTCULLIS_SHIM_WATCH");
    snprintf(roots_text, sizeof roots_text, "%s", watch ? watch : "");
    for (char *rest = roots_text, *root; root_count < MAX_ROOTS && (root = strsep(&rest, ":"));)
        if (*root) roots[root_count++] = root;
}

static void record(enum kind kind, uint32_t flags, const char *path, const char *path2, uint64_t inode,
                   uint64_t number, const void *data, uint64_t length) {
    struct header header = {kind, flags, strlen(path), strlen(path2), inode, number, length};
    struct iovec parts[] = {
        {&header, sizeof header}, {(void *)path, header.path}, {(void *)path2, header.path2}, {(void *)data, length}};
    uint64_t whole = sizeof header + header.path + header.path2 + length;
    /* One append each: a process that is killed in between leaves no half a record but at the very end. */
    if (syscall(SYS_writev, journal, parts, 4) != (long)whole) fail("cannot write the journal");
}

/* The absolute path, where it is below a watched directory or is one. */
static int is_watched(int directory, const char *path, char out[PATH_MAX]) {
    if (journal < 0 || !path) return 0;
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
        if ((size_t)snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    for (size_t end = strlen(out); end > 1 && out[end - 1] == '/'; end--) out[end - 1] = 0;
    for (int i = 0; i < root_count; i++) {
        size_t length = strlen(roots[i]);
        if (!strncmp(out, roots[i], length) && (out[length] == '/' || !out[length])) return 1;
    }
    return 0;
}

static uint64_t inode_of(int fd) {
    return fd >= 0 && fd < MAX_FD ? watched[fd] : 0;
}

/* open: which file a descriptor means, and whether it was made or cut short by this. */
static int opened(int directory, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    if (!is_watched(directory, path, full)) return syscall(SYS_openat, directory, path, flags, mode);
    begin();
    int existed = !syscall(SYS_faccessat, AT_FDCWD, full, F_OK);
    int fd = syscall(SYS_openat, directory, path, flags, mode), error = errno;
    if (fd >= MAX_FD) fail("too many descriptors");
    struct stat status;
    if (fd >= 0 && !fstat(fd, &status)) {
        watched[fd] = status.st_ino;
        uint32_t how = (existed ? 0 : CREATED) | (flags & O_TRUNC ? TRUNCATED : 0) |
                       (S_ISDIR(status.st_mode) ? DIRECTORY : 0);
        record(OPEN, how, full, "", status.st_ino, 0, NULL, 0);
    }
    end();
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int fd = opened(AT_FDCWD, path, flags, mode_of(flags, rest));
    va_end(rest);
    return fd;
}

int openat(int directory, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int fd = opened(directory, path, flags, mode_of(flags, rest));
    va_end(rest);
    return fd;
}

int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
int creat64(const char *, mode_t) __attribute__((alias("creat")));

/* close: the number will mean another file. */
int close(int fd) {
    if (fd >= 0 && fd < MAX_FD) watched[fd] = 0;
    return syscall(SYS_close, fd);
}

/* write, writev: where they went is known only afterwards (the position, or the end where it appends). */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    uint64_t inode = inode_of(fd);
    if (!inode) return syscall(SYS_writev, fd, parts, count);
    begin();
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    int error = errno;
    off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR) - written;
    for (ssize_t left = written, i = 0; left > 0; i++) {
        size_t length = (size_t)left < parts[i].iov_len ? (size_t)left : parts[i].iov_len;
        record(WRITE, 0, "", "", inode, at, parts[i].iov_base, length);
        at += length;
        left -= length;
    }
    end();
    errno = error;
    return written;
}

ssize_t write(int fd, const void *data, size_t length) {
    if (!inode_of(fd)) return syscall(SYS_write, fd, data, length);
    struct iovec part = {(void *)data, length};
    return writev(fd, &part, 1);
}

/* pwrite: how sled writes its log. */
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    uint64_t inode = inode_of(fd);
    if (!inode) return syscall(SYS_pwrite64, fd, data, length, at);
    begin();
    ssize_t written = syscall(SYS_pwrite64, fd, data, length, at);
    int error = errno;
    if (written > 0) record(WRITE, 0, "", "", inode, at, data, written);
    end();
    errno = error;
    return written;
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

/* ftruncate: how sled gives space back. */
int ftruncate(int fd, off_t length) {
    uint64_t inode = inode_of(fd);
    if (!inode) return syscall(SYS_ftruncate, fd, length);
    begin();
    int result = syscall(SYS_ftruncate, fd, length), error = errno;
    if (!result) record(TRUNCATE, 0, "", "", inode, length, NULL, 0);
    end();
    errno = error;
    return result;
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

/* fsync, fdatasync: what was there when they began is on the disk once they have ended, and nothing else is.
 * sync_file_range is left out on purpose: it syncs neither the file's size nor the disk's own cache. */
static int synced(long call, int fd) {
    uint64_t inode = inode_of(fd);
    if (!inode) return syscall(call, fd);
    begin();
    uint64_t number = (uint64_t)getpid() << 32 | ++syncs; /* the next process continues the journal */
    record(SYNC_BEGIN, 0, "", "", inode, number, NULL, 0);
    end();
    int result = syscall(call, fd), error = errno;
    begin();
    if (!result) record(SYNC_END, 0, "", "", inode, number, NULL, 0);
    end();
    errno = error;
    return result;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }

/* rename, unlink, rmdir, mkdir: names, which may be lost too. */
static int named(enum kind kind, int directory, const char *from, const char *to, int flags, mode_t mode) {
    char path[PATH_MAX], path2[PATH_MAX] = "";
    int is_ours = is_watched(directory, from, path);
    if (kind == RENAME && is_ours != is_watched(AT_FDCWD, to, path2)) fail("a rename into or out of what is watched");
    if (is_ours) begin();
    int result = kind == RENAME   ? syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)
                 : kind == REMOVE ? syscall(SYS_unlinkat, directory, from, flags)
                                  : syscall(SYS_mkdirat, AT_FDCWD, from, mode);
    if (!is_ours) return result;
    int error = errno;
    if (!result) record(kind, 0, path, kind == RENAME ? path2 : "", 0, 0, NULL, 0);
    end();
    errno = error;
    return result;
}

int rename(const char *from, const char *to) { return named(RENAME, AT_FDCWD, from, to, 0, 0); }
int unlink(const char *path) { return named(REMOVE, AT_FDCWD, path, NULL, 0, 0); }
int rmdir(const char *path) { return named(REMOVE, AT_FDCWD, path, NULL, AT_REMOVEDIR, 0); }
int unlinkat(int directory, const char *path, int flags) { return named(REMOVE, directory, path, NULL, flags, 0); }
int mkdir(const char *path, mode_t mode) { return named(MAKE_DIRECTORY, AT_FDCWD, path, NULL, 0, mode); }

/* clock_gettime, gettimeofday, time: the wall clock, with its offset. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && clock_offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t offset = *clock_offset, nanoseconds = now->tv_nsec + offset % 1000 * 1000000;
        now->tv_sec += offset / 1000 + (nanoseconds >= 1000000000) - (nanoseconds < 0);
        now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
