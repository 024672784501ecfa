/*
 * process_limit.h - how many processes there may be at the same time, as service managers and containers bound them (pids.max of cgroups(7)).
 * Runs in: master; posternd -t. Trusts: the kernel.
 */
#ifndef POSTERN_PROCESS_LIMIT_H
#define POSTERN_PROCESS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For this process and all that it starts; UINT64_MAX: there is no bound. */
uint64_t process_limit(void);

/* For the unit postern.service, where it runs at this moment: whoever asks has a shell's limit. */
uint64_t process_limit_of_unit(void);

/* Is that too few for so many workers? Then a sentence that says so and what to write. */
bool process_limit_is_low(uint64_t limit, uint64_t workers, char *text_r, size_t size);

#endif
