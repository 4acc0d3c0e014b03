/*
 * The one lock of the daemon.
 *
 * A worker holds it for the time of a copy, so a short spin nearly always gets it; what is left
 * is an owner that was descheduled, for which a bounded wait in the kernel is right, and an owner
 * that is stopped, for which nothing is: the caller hears BUS_FULL, as if the log were full,
 * keeps serving its connections, and the master ends the owner. It knows it from the mutex itself,
 * in which the owner's thread id is what is taken and given back: there is no moment at which the lock
 * is held by nobody known. That and the number of acquisitions tell an owner that does not move from
 * a lock that is busy. After a wait in vain the lock is
 * only tried for a while, lest a worker with a thousand publishers waits a thousand times.
 *
 * Who publishes may be put off and tries again, so it waits a moment only. Who joins would be
 * turned away, so it waits as long as a machine with too much to do may need to let the owner run.
 *
 * The mutex is robust: when its owner dies the next one is told, and redoes the newest append.
 * Order matters there only as the compiler sees it, for a process that is killed has done all
 * that precedes some instruction and nothing that follows.
 */
#include <errno.h>
#include <linux/futex.h>
#include <time.h>
#include <unistd.h>

#include "bus/bus_internal.h"

enum { SPINS = 200, NS_PER_S = 1000000000 };

/* Nanoseconds, by enum bus_patience. */
static const uint64_t waits[] = { [BUS_BRIEFLY] = 2000000, [BUS_PATIENTLY] = 200000000 };

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int wait_for(struct bus *b, enum bus_patience patience)
{
	uint64_t until = patience_until(&b->patience[patience], waits[patience]);
	struct timespec t;
	int error;

	if (until == 0)
		return EBUSY;
	t.tv_sec = (time_t)(until / NS_PER_S);
	t.tv_nsec = (long)(until % NS_PER_S);
	error = pthread_mutex_clocklock(&b->shared->lock, CLOCK_MONOTONIC, &t);
	if (error == ETIMEDOUT)
		patience_lost(&b->patience[patience], waits[patience]);
	return error;
}

static int take(struct bus *b, enum bus_patience patience)
{
	for (int i = 0; i < SPINS; i++) {
		int error = pthread_mutex_trylock(&b->shared->lock);

		if (error != EBUSY)
			return error;
		relax();
	}
	return wait_for(b, patience);
}

static void count_acquisition(struct bus *b)
{
	_Atomic uint64_t *n = &b->shared->acquisitions;

	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/*
 * What cannot be mended ends the log for all. `broken` says so, and not the mutex's own state for
 * it: in glibc a trylock that returns ENOTRECOVERABLE may keep the lock, and the next one
 * finds it merely taken.
 */
static enum bus_result recover(struct bus *b)
{
	atomic_fetch_add_explicit(&b->shared->recoveries, 1, memory_order_relaxed);
	if (!bus_redo_newest(b))
		atomic_store(&b->shared->broken, 1);
	if (pthread_mutex_consistent(&b->shared->lock) == 0 && !atomic_load(&b->shared->broken))
		return BUS_OK;
	bus_unlock(b);
	return BUS_CORRUPT;
}

static bool is_broken(const struct bus *b)
{
	return atomic_load_explicit(&b->shared->broken, memory_order_relaxed) != 0;
}

enum bus_result bus_lock(struct bus *b, enum bus_patience patience)
{
	int error = is_broken(b) ? ENOTRECOVERABLE : take(b, patience);

	switch (error) {
	case 0:
		count_acquisition(b);
		return BUS_OK;
	case EOWNERDEAD:
		count_acquisition(b);
		return recover(b);
	case EBUSY:
	case ETIMEDOUT:
		return BUS_FULL;
	default:
		return BUS_CORRUPT;
	}
}

void bus_unlock(struct bus *b)
{
	pthread_mutex_unlock(&b->shared->lock);
}

/*
 * The word of a robust mutex is as the kernel has it, who gives up the locks of the dead: the
 * thread id of the owner and two flags. glibc's is the first of the mutex.
 */
static pid_t owner_of(const pthread_mutex_t *lock)
{
	uint32_t word = (uint32_t)__atomic_load_n(&lock->__data.__lock, __ATOMIC_RELAXED);

	return (pid_t)(word & FUTEX_TID_MASK);
}

pid_t bus_lock_owner(const struct bus *b, uint64_t *acquisitions)
{
	*acquisitions = atomic_load_explicit(&b->shared->acquisitions, memory_order_relaxed);
	return owner_of(&b->shared->lock);
}

bool bus_lock_names_owner(pthread_mutex_t *lock)
{
	bool named;

	if (pthread_mutex_trylock(lock) != 0)
		return false;
	named = owner_of(lock) == gettid();
	pthread_mutex_unlock(lock);
	return named && owner_of(lock) == 0;
}
