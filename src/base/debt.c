/*
 * debt.c - see debt.h.
 */
#include "base/debt.h"

static const int64_t SECOND = 1000000000;

/* For so many bytes, rounded up: both are DEBT_MOST at the most, and the product is in 63 bits. */
static int64_t time_for(int64_t bytes, int64_t rate)
{
	return bytes / rate * SECOND + (bytes % rate * SECOND + rate - 1) / rate;
}

/* What is not a whole byte's time is left for the next one. */
static void pay_back(struct debt *d, int64_t rate, int64_t now)
{
	const int64_t passed = now - d->at;
	int64_t paid;

	if (d->bytes == 0 || passed >= time_for(d->bytes, rate)) {
		d->bytes = 0;
		d->at = now;
		return;
	}
	if (passed <= 0)
		return;
	/* less than was owed, so each of the two is small enough */
	paid = passed / SECOND * rate + passed % SECOND * rate / SECOND;
	d->bytes -= paid;
	d->at += time_for(paid, rate);
}

int64_t debt_wait(struct debt *d, int64_t rate, int64_t now)
{
	pay_back(d, rate, now);
	if (d->bytes < rate)
		return 0;
	return time_for(d->bytes - rate + 1, rate) - (now > d->at ? now - d->at : 0);
}

void debt_add(struct debt *d, int64_t bytes)
{
	d->bytes += bytes < DEBT_MOST - d->bytes ? bytes : DEBT_MOST - d->bytes;
}
