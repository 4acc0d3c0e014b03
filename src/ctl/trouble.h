/*
 * trouble.h - saying what went wrong, and what to do about it.
 */
#ifndef CTL_TROUBLE_H
#define CTL_TROUBLE_H

/* One line "ignyxctl: ..." on standard error; what came from the daemon must have been escaped. */
void trouble(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Returns p, which was asked of the system; NULL: there is no memory, and the program ends. */
void *trouble_if_null(void *p) __attribute__((returns_nonnull));

/*
 * A sentence for who cannot use the socket at path for this errno: whom it is for, and what to do;
 * the caller's to free.
 */
char *trouble_socket(const char *path, int error);

/* Whom the socket is for, as the end of a sentence, "is for root and ..."; the caller's to free. */
char *trouble_owners(const char *path);

#endif
