/* A library for LD_PRELOAD that moves the wall clock of a process by TAKK_TEST_CLOCK_S seconds, for Python, librdkafka and the broker alike.

   `make test CLOCK="2027-03-28 00:50 UTC"` runs all tests at that time. The monotonic clock is not moved. A wait until a time of the wall clock
   gets the real time; times of the monotonic clock are recognized by their size, since they count from the start of the machine. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* Seconds since 1970 that no monotonic clock has: thirty years. */
#define LEAST_WALL_CLOCK_S 946684800L

static long shift_s;

__attribute__((constructor)) static void read_shift(void) {
    const char *text = getenv("TAKK_TEST_CLOCK_S");
    shift_s = text ? atol(text) : 0;
}

static int is_wall_clock(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *time) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int result = real(clock, time);
    if (!result && is_wall_clock(clock)) time->tv_sec += shift_s;
    return result;
}

int gettimeofday(struct timeval *time, void *zone) {
    static __typeof__(&gettimeofday) real;
    if (!real) real = REAL(gettimeofday);
    int result = real(time, zone);
    if (!result) time->tv_sec += shift_s;
    return result;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base) {
    static __typeof__(&timespec_get) real;
    if (!real) real = REAL(timespec_get);
    int result = real(time, base);
    if (result) time->tv_sec += shift_s;
    return result;
}

static struct timespec real_end(const struct timespec *end) {
    struct timespec moved = *end;
    if (moved.tv_sec > LEAST_WALL_CLOCK_S) moved.tv_sec -= shift_s;
    return moved;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *end) {
    static __typeof__(&pthread_cond_timedwait) real;
    /* An older version of this function, with another layout of the condition, has the same name. */
    if (!real) real = (__typeof__(real))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = REAL(pthread_cond_timedwait);
    struct timespec moved = real_end(end);
    return real(condition, mutex, &moved);
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *end) {
    struct timespec moved = real_end(end);
    return REAL(pthread_cond_clockwait)(condition, mutex, clock, &moved);
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *end) {
    struct timespec moved = real_end(end);
    return REAL(cnd_timedwait)(condition, mutex, &moved);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *end) {
    struct timespec moved = real_end(end);
    return REAL(sem_timedwait)(semaphore, &moved);
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *end) {
    struct timespec moved = real_end(end);
    return REAL(sem_clockwait)(semaphore, clock, &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *end) {
    struct timespec moved = real_end(end);
    return REAL(pthread_mutex_timedlock)(mutex, &moved);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *length, struct timespec *left) {
    struct timespec moved = flags & TIMER_ABSTIME && is_wall_clock(clock) ? real_end(length) : *length;
    return REAL(clock_nanosleep)(clock, flags, &moved, left);
}
