/*
 * file_system.h - do other hosts see this file, too? Inside storage/ only.
 * Runs in: keeper, as the mail's owner, and the dotlock helper. Trusts: the kernel.
 */
#ifndef POSTERN_FILE_SYSTEM_H
#define POSTERN_FILE_SYSTEM_H

#include <stdbool.h>

/* *name_r: the kind of network file system that the open file fd is on, or NULL when it is on none. 0, or -1 and errno. */
int network_file_system(int fd, const char **name_r);

/* Can it be said for sure that no other host writes there? (FUSE may be anything.) */
bool is_local_file_system(int fd);

#endif
