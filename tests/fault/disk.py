"""File systems in image files, mounted in a mount namespace of this process: for tests that cut the power or fill the disk."""
import ctypes
import os
import shutil
import subprocess

from postern import need_mounts
from processes import wait_until

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x00020000
MAKE = {  # size of the image, command; tmpfs needs neither
    "ext4": (48 << 20, ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    "xfs": (300 << 20, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (120 << 20, ["mkfs.btrfs", "-q", "-f"]),
}


def missing(kind):
    """Why that file system cannot be used here, or None."""
    if os.geteuid() != 0:
        return "only root mounts file systems"
    if kind != "tmpfs" and not shutil.which(MAKE[kind][1][0]):
        return "%s is not installed" % MAKE[kind][1][0]
    with open("/proc/filesystems") as known:
        if kind not in known.read().split() and subprocess.run(["modprobe", "-q", kind]).returncode != 0:
            return "this kernel has no " + kind
    return None


def own_mounts():
    """What this process and its children mount from now on, nobody else sees, and it goes when they do."""
    need_mounts()
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Disk:
    """A file system of that kind in an image under `base`, whose directories are mounted over others: {name: where}."""

    def __init__(self, kind, base, places, room=1):
        """room: so many times the usual size."""
        self.kind, self.image, self.places = kind, base / ("disk." + kind), places
        self.top = base / "disk"
        self.top.mkdir()
        if kind != "tmpfs":
            size, command = MAKE[kind]
            with open(self.image, "wb") as image:
                image.truncate(size * room)
            subprocess.run([*command, self.image], check=True, stdout=subprocess.DEVNULL)
        self.mounted = []
        self.mount_top(self.image)
        for name, where in places.items():
            self.copy_of(where, self.top / name)
        self.bind()

    @staticmethod
    def copy_of(where, new):
        new.mkdir()
        status = where.stat()
        os.chown(new, status.st_uid, status.st_gid)
        new.chmod(status.st_mode & 0o7777)

    def mount_top(self, image):
        how = ["none"] if self.kind == "tmpfs" else ["-o", "loop", image]
        subprocess.run(["mount", "-t", self.kind, *how, self.top], check=True)
        self.mounted.append(self.top)

    def bind(self):
        for name, where in self.places.items():
            subprocess.run(["mount", "--bind", self.top / name, where], check=True)
            self.mounted.append(where)

    def mount(self, image):
        """That image in place of the one that was unmounted. A copy of an XFS or btrfs has the uuid of the original."""
        self.mount_top(image)
        self.bind()

    def unmount(self):
        while self.mounted:
            subprocess.run(["umount", self.mounted[-1]], check=True)
            self.mounted.pop()

    def writes(self):
        """How many writes the image has taken; None while some are under way."""
        device = os.stat(self.top).st_dev
        with open("/sys/dev/block/%d:%d/stat" % (os.major(device), os.minor(device))) as stat:
            fields = stat.read().split()
        return None if int(fields[8]) else int(fields[4])

    def snapshot(self, copy):
        """The image as it is now, with nothing written out for it: what a power failure would leave."""
        def copied():
            before = self.writes()
            subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
            return before is not None and before == self.writes()
        # Written to meanwhile, by the kernel, it would be no moment of a disk's: what is later could be there without what is earlier.
        wait_until(copied, "a copy of the image that is of one moment")
