/* A library for LD_PRELOAD that lets a disk fail, and that notes what a power loss would leave.

   TAKK_CRASH_SYNCED names a file. Each fsync appends "S <size> <path>", and each rename "R <old path>\t<new path>".
   TAKK_CRASH_EIO names a file with one line "<operation> <start of a path>". The next such operation on such a path fails with EIO, and the
   file is deleted. The operations are write, sync and read.
   TAKK_CRASH_BOOT_ID names a file that is opened in the place of the kernel's boot id. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static void append(const char *line) {
    const char *file = getenv("TAKK_CRASH_SYNCED");
    if (!file) return;
    int fd = REAL(open)(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (REAL(write)(fd, line, strlen(line)) < 0) abort();
    close(fd);
}

/* Whether this operation has to fail. RocksDB's own log and the files of Python never do. */
static int fails(const char *operation, int fd) {
    const char *file = getenv("TAKK_CRASH_EIO");
    if (!file || access(file, F_OK)) return 0;
    int saved = errno, control = REAL(open)(file, O_RDONLY | O_CLOEXEC);
    if (control < 0) return 0;
    char wanted[PATH_MAX + 16], path[PATH_MAX];
    ssize_t length = REAL(read)(control, wanted, sizeof wanted - 1);
    close(control);
    errno = saved;
    if (length <= 0 || !path_of(fd, path)) return 0;
    wanted[length] = 0;
    char *start = strchr(wanted, ' ');
    if (!start) return 0;
    *start++ = 0;
    start[strcspn(start, "\n")] = 0;
    const char *end = strrchr(path, '.');
    if (strcmp(wanted, operation) || strncmp(path, start, strlen(start)) || !end) return 0;
    if (strcmp(end, ".log") && strcmp(end, ".sst")) return 0;
    unlink(file);
    errno = EIO;
    return 1;
}

static int synced(int result, int fd) {
    char path[PATH_MAX], line[PATH_MAX + 64];
    struct stat status;
    if (result == 0 && path_of(fd, path) && fstat(fd, &status) == 0) {
        snprintf(line, sizeof line, "S %lld %s\n", (long long)status.st_size, path);
        append(line);
    }
    return result;
}

int fsync(int fd) { return fails("sync", fd) ? -1 : synced(REAL(fsync)(fd), fd); }
int fdatasync(int fd) { return fails("sync", fd) ? -1 : synced(REAL(fdatasync)(fd), fd); }
ssize_t write(int fd, const void *data, size_t size) { return fails("write", fd) ? -1 : REAL(write)(fd, data, size); }
ssize_t pread(int fd, void *data, size_t size, off_t at) { return fails("read", fd) ? -1 : REAL(pread)(fd, data, size, at); }
ssize_t pread64(int fd, void *data, size_t size, off64_t at) { return fails("read", fd) ? -1 : REAL(pread64)(fd, data, size, at); }

int rename(const char *old, const char *new) {
    int result = REAL(rename)(old, new);
    char line[2 * PATH_MAX + 8];
    if (result == 0) {
        snprintf(line, sizeof line, "R %s\t%s\n", old, new);
        append(line);
    }
    return result;
}

static const char *redirected(const char *path) {
    const char *other = getenv("TAKK_CRASH_BOOT_ID");
    return other && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? other : path;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return REAL(open)(redirected(path), flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return REAL(open64)(redirected(path), flags, mode);
}
