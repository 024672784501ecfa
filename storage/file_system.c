/*
 * file_system.c - do other hosts see this file, too? statfs(2).
 * Runs in: keeper, as the mail's owner, and the dotlock helper. Trusts: the kernel.
 */
#include "storage/file_system.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

static const struct {
	unsigned long type;
	const char *name;
} network[] = {
	{ NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" }, { SMB2_SUPER_MAGIC, "SMB" }, { CIFS_SUPER_MAGIC, "SMB" },
	{ AFS_SUPER_MAGIC, "AFS" }, { CEPH_SUPER_MAGIC, "Ceph" }, { V9FS_MAGIC, "9P" },
};

int network_file_system(int fd, const char **name_r)
{
	struct statfs fs;
	*name_r = NULL;
	if (fstatfs(fd, &fs) != 0)
		return -1;
	for (size_t i = 0; i < sizeof network / sizeof network[0]; i++)
		if ((unsigned long)fs.f_type == network[i].type)
			*name_r = network[i].name;
	return 0;
}

bool is_local_file_system(int fd)
{
	struct statfs fs;
	const char *name;
	return network_file_system(fd, &name) == 0 && name == NULL && fstatfs(fd, &fs) == 0 &&
		(unsigned long)fs.f_type != FUSE_SUPER_MAGIC;
}
