/*
 * user.c - see user.h. The three calls on capabilities are made directly: that
 * is all that a library would be needed for.
 */
#include "process/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* mask: of capabilities below 32, permitted and effective; nothing is inherited. */
static int set_capabilities(uint32_t mask)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = mask, .permitted = mask } };

	return (int)syscall(SYS_capset, &head, data);
}

static uint32_t permitted_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	return syscall(SYS_capget, &head, data) == 0 ? data[0].permitted : 0;
}

/*
 * Of what any program that it starts could have: no more than that. Who may not do this has no
 * more than what it was given; and to gain anything is forbidden besides.
 */
static int limit_capabilities(uint32_t mask)
{
	for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (c >= 32 || !(mask >> c & 1))
			prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int change_ids(const char *name, const struct passwd *pw)
{
	const uint32_t bind = 1u << CAP_NET_BIND_SERVICE;

	if (limit_capabilities(bind) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    initgroups(name, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return -1;
	/* In a container root may lack it; then low ports are not to be had anyway. */
	return set_capabilities(permitted_capabilities() & bind);
}

int user_become(const char *name)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(name);
	if (!pw) {
		log_err(LOG_OF(CONFIG_ERROR), "cannot become user \"%s\": %s", name,
			errno ? strerror(errno) : "there is no such user");
		return -1;
	}
	if (change_ids(name, pw) < 0) {
		log_err(LOG_OF(CONFIG_ERROR), "cannot become user \"%s\": %s", name,
			strerror(errno));
		return -1;
	}
	return 0;
}

int user_drop_capabilities(void)
{
	if (limit_capabilities(0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return set_capabilities(0);
}

int user_die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -1;
	if (getppid() == parent)
		return 0;
	errno = ESRCH;
	return -1;
}
