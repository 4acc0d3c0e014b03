/*
 * verifier.c - see verifier.h.
 *
 * Everything but the thread's scratch memory is under one lock, which is held for as long as it takes to
 * put something into a list. A question becomes its answer: what is in it is wiped when it is answered,
 * or cancelled, and the memory of the hash behind each.
 *
 * It is a batch for the scheduler (sched(7)): to be woken up does not interrupt the loop, which would wait
 * for as long as it may compute at once, some milliseconds, where they share a CPU. Its priority is that of
 * the loop, and not lower: yescrypt takes and gives back memory, for which the kernel locks that of the
 * whole process, and who has that lock has to get on. With less, where the machine is busy, the loop waited
 * for seconds.
 *
 * The thread is ended where it waits. While it computes it cannot be: then it owns all of this, and ends
 * itself.
 */
#include "base/verifier.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fair.h"

enum { STACK = 256 * 1024 };

struct question {
	struct fair_entry line; /* first: what the line has is this */
	STAILQ_ENTRY(question) answered;
	enum verifier_verdict verdict;
	char password[VERIFIER_PASSWORD_MAX + 1], hash[VERIFIER_HASH_MAX + 1];
};

struct verifier {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct fair line;
	STAILQ_HEAD(, question) answers;
	bool works; /* on something that is in no list */
	bool ending;
	int fd;
	struct crypt_data scratch; /* the thread's */
};

static struct question *question_of(struct fair_entry *e)
{
	return (struct question *)(void *)e;
}

static void wipe(struct question *q)
{
	explicit_bzero(q->password, sizeof(q->password));
	explicit_bzero(q->hash, sizeof(q->hash));
}

static void forget(struct question *q)
{
	wipe(q);
	free(q);
}

/* --- the thread --- */

/* The time of all that is compared says how long the hash is, which everybody knows. */
static enum verifier_verdict verify(struct verifier *v, const struct question *q)
{
	const char *made = crypt_rn(q->password, q->hash, &v->scratch, sizeof(v->scratch));
	enum verifier_verdict verdict = VERIFIER_FAILED;
	const size_t len = strlen(q->hash);

	if (made && *made != '*')
		verdict = strlen(made) == len && CRYPTO_memcmp(made, q->hash, len) == 0
				  ? VERIFIER_RIGHT
				  : VERIFIER_WRONG;
	explicit_bzero(&v->scratch, sizeof(v->scratch));
	return verdict;
}

static void give_answer(struct verifier *v, struct question *q, enum verifier_verdict verdict)
{
	static const uint64_t one = 1;

	wipe(q);
	q->verdict = verdict;
	STAILQ_INSERT_TAIL(&v->answers, q, answered);
	/* it fails only where it can be read already */
	if (write(v->fd, &one, sizeof(one)) < 0)
		return;
}

/* The lock is held, and given up while it works. */
static void answer_next(struct verifier *v)
{
	struct question *q = question_of(fair_take(&v->line));
	enum verifier_verdict verdict;

	v->works = true;
	pthread_mutex_unlock(&v->lock);
	verdict = verify(v, q);
	pthread_mutex_lock(&v->lock);
	v->works = false;
	give_answer(v, q, verdict);
}

static void release(struct verifier *v)
{
	struct fair_entry *e;
	struct question *q;

	while ((e = fair_take(&v->line)))
		forget(question_of(e));
	while ((q = STAILQ_FIRST(&v->answers))) {
		STAILQ_REMOVE_HEAD(&v->answers, answered);
		forget(q);
	}
	close(v->fd);
	pthread_cond_destroy(&v->wanted);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

/* Where that is not allowed the loop waits for it; and in a service of real time it stays what that is. */
static void be_a_batch(void)
{
	static const struct sched_param none;

	if (sched_getscheduler(0) == SCHED_OTHER)
		pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
}

static void *run(void *arg)
{
	struct verifier *v = arg;
	bool is_left = false;

	be_a_batch();
	pthread_mutex_lock(&v->lock);
	while (!v->ending) {
		if (v->line.count == 0) {
			pthread_cond_wait(&v->wanted, &v->lock);
			continue;
		}
		answer_next(v);
		is_left = v->ending;
	}
	pthread_mutex_unlock(&v->lock);
	if (is_left)
		release(v);
	return NULL;
}

/* --- its life --- */

static int start(struct verifier *v)
{
	pthread_attr_t a;
	sigset_t all, before;
	int error = pthread_attr_init(&a);

	if (error != 0)
		return error;
	sigfillset(&all);
	pthread_attr_setstacksize(&a, STACK);
	/* it inherits these: no signal is its to handle */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&v->thread, &a, run, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&a);
	if (error == 0)
		pthread_setname_np(v->thread, "passwords");
	return error;
}

struct verifier *verifier_new(void)
{
	struct verifier *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return NULL;
	v->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (v->fd < 0) {
		free(v);
		return NULL;
	}
	fair_init(&v->line);
	STAILQ_INIT(&v->answers);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->wanted, NULL);
	error = start(v);
	if (error == 0)
		return v;
	release(v);
	errno = error;
	return NULL;
}

void verifier_free(struct verifier *v)
{
	bool works;

	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	v->ending = true;
	works = v->works;
	if (works)
		pthread_detach(v->thread);
	pthread_cond_signal(&v->wanted);
	pthread_mutex_unlock(&v->lock);
	if (works)
		return;
	pthread_join(v->thread, NULL);
	release(v);
}

/* --- who asks --- */

static struct question *make_question(const struct verifier_question *q)
{
	const size_t password = strlen(q->password), hash = strlen(q->hash);
	struct question *made = NULL;

	if (password <= VERIFIER_PASSWORD_MAX && hash <= VERIFIER_HASH_MAX)
		made = calloc(1, sizeof(*made));
	if (!made)
		return NULL;
	made->line.id = q->id;
	made->line.from = q->from;
	memcpy(made->password, q->password, password);
	memcpy(made->hash, q->hash, hash);
	return made;
}

bool verifier_ask(struct verifier *v, const struct verifier_question *q)
{
	struct question *made = make_question(q);
	struct fair_entry *displaced;
	bool taken;

	if (!made)
		return false;
	pthread_mutex_lock(&v->lock);
	taken = fair_add(&v->line, &made->line, &displaced);
	if (displaced)
		give_answer(v, question_of(displaced), VERIFIER_DISPLACED);
	pthread_cond_signal(&v->wanted);
	pthread_mutex_unlock(&v->lock);
	if (!taken)
		forget(made);
	return taken;
}

void verifier_cancel(struct verifier *v, uint64_t id)
{
	struct fair_entry *e;

	pthread_mutex_lock(&v->lock);
	e = fair_remove(&v->line, id);
	pthread_mutex_unlock(&v->lock);
	if (e)
		forget(question_of(e));
}

int verifier_fd(const struct verifier *v)
{
	return v->fd;
}

bool verifier_answer(struct verifier *v, struct verifier_answer *a)
{
	struct question *q;
	uint64_t count;

	pthread_mutex_lock(&v->lock);
	q = STAILQ_FIRST(&v->answers);
	if (q)
		STAILQ_REMOVE_HEAD(&v->answers, answered);
	/* what makes it readable goes with the last of them */
	if (STAILQ_EMPTY(&v->answers) && read(v->fd, &count, sizeof(count)) < 0)
		count = 0;
	pthread_mutex_unlock(&v->lock);
	if (!q)
		return false;
	*a = (struct verifier_answer){ q->line.id, q->verdict };
	free(q);
	return true;
}

unsigned verifier_waiting(struct verifier *v)
{
	unsigned n;

	pthread_mutex_lock(&v->lock);
	n = v->line.count;
	pthread_mutex_unlock(&v->lock);
	return n;
}
