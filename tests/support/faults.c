// Preloaded into a server: counts the calls that make files durable, and kills the process or fails the call at one of them.
// It also shifts the wall clock. What to do stands in a file that is shared with the test (see faults.py), which may change
// it at any time. The real calls are made as system calls, so that nothing here waits for the dynamic linker.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING, KILL, FAIL, SHORT };
enum { WRITE = 1, PWRITE = 2, FSYNC = 4, FDATASYNC = 8, RENAME = 16, UNLINK = 32, FTRUNCATE = 64 };

struct control {
    uint64_t count; // calls so far that match
    uint64_t hits;  // how many of them were not made as asked
    uint64_t from, to; // the numbers of the calls to hit, the first is 1
    int64_t clock_ms;
    uint32_t calls, what, error, unused;
    char under[256]; // only files whose path begins so
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LADE_FAULTS");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    void *shared = mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) control = shared;
}

static int is_under(const char *path) {
    size_t size = strnlen(control->under, sizeof control->under);
    return size && strncmp(path, control->under, size) == 0;
}

static int path_of(int fd, char *path, size_t size) {
    char link[48];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long got = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[got < 0 ? 0 : got] = 0;
    return got > 0;
}

// What is to happen to a call on this path.
static uint32_t decide(uint32_t call, const char *path) {
    if (!(control->calls & call) || !is_under(path)) return NOTHING;
    uint64_t number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (control->what == NOTHING || number < control->from || number > control->to) return NOTHING;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    if (control->what == KILL)
        for (;;) syscall(SYS_kill, getpid(), SIGKILL);
    return control->what;
}

static uint32_t decide_fd(uint32_t call, int fd) {
    char path[4096];
    int saved = errno;
    uint32_t what = control && (control->calls & call) && path_of(fd, path, sizeof path) ? decide(call, path) : NOTHING;
    errno = saved;
    return what;
}

static uint32_t decide_at(uint32_t call, int folder, const char *name) {
    char path[8192];
    int saved = errno;
    if (!control || !(control->calls & call)) return NOTHING;
    path[0] = 0;
    if (name[0] != '/' && folder != AT_FDCWD && path_of(folder, path, 4096)) strcat(path, "/");
    strncat(path, name, 4000);
    uint32_t what = decide(call, path);
    errno = saved;
    return what;
}

static int fail(void) {
    errno = (int)control->error;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    uint32_t what = decide_fd(WRITE, fd);
    if (what == FAIL) return fail();
    return syscall(SYS_write, fd, bytes, what == SHORT ? (size + 1) / 2 : size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    uint32_t what = decide_fd(WRITE, fd);
    if (what == FAIL) return fail();
    if (what == SHORT && count > 0) return syscall(SYS_write, fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    uint32_t what = decide_fd(PWRITE, fd);
    if (what == FAIL) return fail();
    return syscall(SYS_pwrite64, fd, bytes, what == SHORT ? (size + 1) / 2 : size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

int fsync(int fd) { return decide_fd(FSYNC, fd) == FAIL ? fail() : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return decide_fd(FDATASYNC, fd) == FAIL ? fail() : (int)syscall(SYS_fdatasync, fd); }

int ftruncate64(int fd, off64_t size) {
    return decide_fd(FTRUNCATE, fd) == FAIL ? fail() : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (decide_at(RENAME, to_folder, to) == FAIL) return fail();
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags) {
    if (decide_at(UNLINK, folder, name) == FAIL) return fail();
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    long done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = control->clock_ms;
        now->tv_sec += ms / 1000;
        now->tv_nsec += ms % 1000 * 1000000;
        if (now->tv_nsec < 0) now->tv_nsec += 1000000000, now->tv_sec--;
        if (now->tv_nsec >= 1000000000) now->tv_nsec -= 1000000000, now->tv_sec++;
    }
    return (int)done;
}
