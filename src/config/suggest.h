/*
 * suggest.h - helping with words that are not known.
 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

/* The one of the words (NULL-terminated) that a slip may have made into word. NULL: none is near. */
const char *suggest_nearest(const char *word, const char *const *words);

/* The words as an enumeration: `"a", "b" or "c"`, each in quote. Caller frees. */
char *suggest_list(const char *const *words, const char *quote, const char *last);

#endif
