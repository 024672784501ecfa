/*
 * replies_advice_mailbox.c - advice about the mailbox: its locks, opening it, fetching from it, deleting at QUIT.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 */
#include "daemon/replies_advice.h"

#define LOCK_MEANING "Only one session at a time may have a mailbox open, so that message numbers mean the same to everybody. Another session of this user has it: "
#define LOCK_ADMIN "`postern log --user NAME` shows both sides. With `on_locked = take-over` in [maildrop] a new login ends a session that has been silent for " \
	"half a minute; with `on_locked = wait 30` it waits."
#define KEPT_USER "Nothing is lost: the messages that stayed are in the mailbox, and will be seen again. "
#define DF "Look with `df -h` and `df -i` at the file systems of the mail (`location` in [maildrop]) and of `journal_directory` and `lock_directory`, and with `quota -u NAME` at the " \
	"user's quota."

const struct advice_row advice_mailbox[] = {
	ADVICE(LOCKED, OTHER_PROGRAM,
		LOCK_MEANING "it came from the address named, and has been silent for so many minutes. If it stays silent, it is ended at the time named.",
		"Look at what else fetches your mail: a phone, a second computer, webmail that collects by POP3. If the address is this computer's, an "
		"earlier connection broke: wait until the time named.",
		LOCK_ADMIN),
	ADVICE(LOCKED_ACTIVE, OTHER_PROGRAM,
		LOCK_MEANING "it came from the address named, and gave a sign of life seconds ago.",
		"Wait until the other device has finished; a large mailbox takes its time. If two devices do this again and again, let them fetch at different times.",
		LOCK_ADMIN),
	ADVICE(LOCKED_SOON, OTHER_PROGRAM,
		LOCK_MEANING "it was active a moment ago, and a new login ends it only when it has been silent for half a minute.",
		"Try again in so many seconds. If the other device is at work by then, it keeps the mailbox until it has finished.",
		"This is `on_locked = take-over` in [maildrop]. `postern log --user NAME` shows which devices meet here."),
	ADVICE(LOCKED_WORKING, OTHER_PROGRAM,
		LOCK_MEANING "it came from the address named, and is so busy (reading, or deleting messages) that it cannot say more.",
		"Try again in a moment.",
		"If it lasts, the disk is slow or the mailbox very large: find the process of that session with `ps -u NAME`, and see what it waits for."),
	ADVICE(LOCKED_UNNAMED, OTHER_PROGRAM,
		LOCK_MEANING "which one is not known.",
		"Look at what else fetches your mail, and try again in a minute.",
		"It may be another server that uses the same `lock_directory`, or `postern recover`. `fuser -v` on the files in `lock_directory` and "
		"`journal_directory` names the process."),
	ADVICE(BUSY, OTHER_PROGRAM,
		"A program on the server that works on the same mailbox held it for half a minute: it kept the lock on the mbox, or it renames the files of a Maildir "
		"faster than they can be opened.",
		"Try again in a moment. If you read mail on the server itself (mutt, alpine, Emacs), close the mailbox there.",
		"`fuser -v` on the mailbox shows who has it open. For an mbox, a file NAME.lock beside it is a dotlock: if no program is behind it, it is "
		"removed at the next login after five minutes. `mbox_locks` in [maildrop] has to name what your other programs use."),
	ADVICE(BUSY_NAMED, OTHER_PROGRAM,
		"The program named, which runs on the server, kept the lock on the mailbox for half a minute.",
		"Close the mailbox in that program, or wait until it has finished.",
		"`fuser -v` on the mailbox shows its process. A program that stays there and does nothing can be ended; its lock goes with it."),
	ADVICE(BUSY_DELIVERY, OTHER_PROGRAM,
		"New mail is being put into the mailbox, and took the lock for half a minute.",
		"Try again in a moment.",
		"If it lasts, look for a delivery that hangs (a filter, a full disk): `fuser -v` on the mailbox shows its process."),

	ADVICE(DROP_DENIED, SERVER,
		"The server, with the rights of the mail's owner, may not open the mailbox: wrong owner or mode, a symbolic link where none is followed, "
		"a second name (hard link), or a directory in which no lock file can be made.",
		"Your settings and your password are right. Tell the administrator the reference.",
		"`postern explain` with the reference names the file and what is wrong with it. As the user, `namei -l PATH` shows every step of the way. An mbox has to "
		"belong to its user, who may read and write it (mode 600 or 660). Debian's /var/mail is root:mail, mode 2775. Look at `location` in [maildrop], too."),
	ADVICE(DROP_BROKEN, SERVER,
		"What is at the mailbox's place is not what `location` says: a file that does not begin as an mbox does, a directory where a file should be, or an mbox "
		"on a network file system, where it is not safe. It was not touched. Or `location` cannot be filled in for this user: it has ~, and the account no home, or %d, and the "
		"name no part behind an @.",
		"Your settings and your password are right. Tell the administrator the reference.",
		"`postern explain` with the reference says which. Compare `location` in [maildrop] with what is there: `file PATH`, `head -c 100 PATH`. An mbox begins with `From `. For an mbox on NFS use a Maildir, or "
		"accept the risk with `network_mbox = yes`."),
	ADVICE(IDS_CHANGED, OTHER_PROGRAM,
		"Most messages of the mailbox are there under other unique-ids than at the last login: files that were restored or copied under other names, or an "
		"mbox that a program wrote anew. A mail program that leaves mail on the server would take them all for new, and fetch them again. So the login was "
		"stopped. New mail is delivered meanwhile, and nothing was deleted.",
		"Your settings and your password are right. Do not set up the account anew: it would fetch everything again. Tell the administrator the reference.",
		"`postern explain` with the reference says how many of how many. Put the mailbox back as it was (a copy that keeps the names: `rsync -a`, `cp -a`), and "
		"the next login goes on. Or allow it once for this user: remove the file that the line names; it is the index of the mailbox, and is made anew. "
		"`unique_id_changes = allow` in [maildrop] allows it for all."),
	ADVICE(DROP_IO, SERVER,
		"Reading the mailbox, or locking it, failed with an error of the disk or of the server's own directories.",
		"Try again in some minutes. Do not set up the account anew: the mail is on the server.",
		"`postern explain` with the reference has the path and the error. Look at `dmesg`, at the disk, and that `lock_directory` exists "
		"and only root can write to it (`systemd-tmpfiles --create`)."),
	ADVICE(DROP_CHANGED, OTHER_PROGRAM,
		"Another program wrote the mailbox anew while it was being read, so its messages could not be counted reliably. Nothing was deleted.",
		"Connect again. If it happens often, something on the server (a mail reader, a filter) works on the same mailbox.",
		"For an mbox: does that program take the locks that `mbox_locks` names? `fuser -v` on the mailbox shows who has it open."),
	ADVICE(MESSAGE_GONE, OTHER_PROGRAM,
		"The message was in the mailbox at the login, and another program (IMAP, webmail, a filter) has removed it since.",
		"Let the mail program fetch again; the message is gone because you or a rule of yours removed it elsewhere.",
		"Nothing is wrong on the server. If nobody should have removed it, look at the log of the IMAP server or of the mail reader."),
	ADVICE(MESSAGE_CHANGED, OTHER_PROGRAM,
		"Another program has written to the message since the login, so its size is no longer what was announced. It was not sent half.",
		"Connect again: the message is then listed as it is now.",
		"Look for a program that changes mail in place (a filter, a virus scanner). In an mbox it has to take the locks that `mbox_locks` names."),
	ADVICE(MESSAGE_IO, SERVER,
		"The message is there, and reading it failed.",
		"Try again later; the other messages can be fetched. Tell the administrator the reference if it stays so.",
		"`postern explain` with the reference has the file and the error. For `Input/output error` look at `dmesg`; for `Permission denied` at the file's owner and mode."),

	ADVICE(KEPT_FULL, SERVER,
		"At QUIT some messages could not be removed, because a disk or the user's quota is full. An mbox is rewritten to delete from its middle, and that is first "
		"written to `journal_directory`, which needs room.",
		KEPT_USER "Fetch and delete again when the administrator has made room.",
		DF " Make room there; the user's next QUIT deletes."),
	ADVICE(KEPT_READ_ONLY, SERVER,
		"At QUIT some messages could not be removed, because the file system is read-only. Mail can be fetched all the same.",
		KEPT_USER "Tell the administrator the reference.",
		"A file system that became read-only by itself has met an error: look at `dmesg` and `findmnt -O ro`, check the disk, then remount. Under systemd, look at "
		"`ProtectSystem=` and `ReadWritePaths=` of the unit, too."),
	ADVICE(KEPT_DENIED, SERVER,
		"At QUIT some messages could not be removed, because the mail's owner may not write to the mailbox or its directory, or the files are immutable.",
		KEPT_USER "Tell the administrator the reference.",
		"The log has a line for each message that stayed. Look at owner and mode with `namei -l PATH` and, for a Maildir, `ls -l PATH`. `lsattr -d PATH` and, for a "
		"Maildir, `lsattr PATH` show whether somebody made something immutable; `chattr -i` takes that back. An mbox also needs a directory in which its lock file can be made."),
	ADVICE(KEPT_IO, SERVER,
		"At QUIT some messages could not be removed, because of an error of the disk. An mbox stays as it was.",
		KEPT_USER "Tell the administrator the reference.",
		"`postern explain` with the reference has the path and the error. Look at `dmesg` and at the disk."),
	ADVICE(KEPT_CHANGED, OTHER_PROGRAM,
		"At QUIT some messages were no longer what they were at the login: another program had changed them or the mailbox. They stayed, so that nothing "
		"was deleted that you have not seen. In an mbox that holds for all of them.",
		KEPT_USER "Fetch again; the program then sees what is there now.",
		"Look for a program that works on the same mailbox (a mail reader, a filter). For an mbox it has to take the locks that `mbox_locks` names."),
	ADVICE(KEPT_BUSY, OTHER_PROGRAM,
		"At QUIT the mailbox could not be locked for deleting: another program kept its lock for half a minute.",
		KEPT_USER "Fetch and delete again later; close the mailbox in other programs.",
		"`fuser -v` on the mailbox shows who has it open. If the log says that a journal was set aside, see `postern recover`; the next session can delete."),
	ADVICE(KEPT_UNFINISHED, SERVER,
		"The rewriting of the mailbox was begun, and an error stopped it in the middle. What it needs is kept in the journal, and the next login finishes it. "
		"No message is lost.",
		"Log in again: that finishes the deletion.",
		"`postern explain` with the reference has the error, and `postern recover` lists the journal. Mend the cause (room, disk), then log in or restart the server."),
	ADVICE(KEPT_MEMORY, SERVER,
		"At QUIT some messages could not be removed for want of memory on the server.",
		KEPT_USER "Try again later.",
		"Look with `free -m` and `systemctl status postern` (memory limits of the unit) at what is short."),
	ADVICE(DISK_FULL, SERVER,
		"The mailbox could not be opened, because that needs room on a disk, and there is none: usually an interrupted update has to be finished first.",
		"Try again later, and tell the administrator.",
		DF),
	ADVICE(READ_ONLY, SERVER,
		"The mailbox could not be opened, because an interrupted update has to be finished first, and the file system is read-only.",
		"Try again later, and tell the administrator.",
		"Look at `dmesg` and `findmnt -O ro`, check the disk, then remount. `postern recover` lists what is to be finished."),
	ADVICE(UNFINISHED, SERVER,
		"The server or the host died while it deleted from this mailbox. The next login has to finish that before it serves the mailbox, and could not. "
		"No message is lost.",
		"Try again later, and tell the administrator the reference.",
		"`postern explain` with the reference has the error; `postern recover` lists the journal. " DF),
	ADVICE(NO_MEMORY, SERVER,
		"The server had no memory, or no free descriptor, for what was asked.",
		"Try again later. Deleting old mail makes the mailbox cheaper to open.",
		"Look with `free -m` and `systemctl status postern` at memory and its limits, and at `LimitNOFILE=` of the unit."),
};
const size_t advice_mailbox_count = sizeof advice_mailbox / sizeof advice_mailbox[0];
