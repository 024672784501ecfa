/*
 * replies_advice_connection.c - advice about connections that end, and connections that are refused.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 */
#include "daemon/replies_advice.h"

const struct advice_row advice_connection[] = {
	ADVICE(LOGIN_TIMEOUT, SETTINGS,
		"The connection was open for so long without a login that it was closed.",
		"By hand, type faster. A mail program that shows this waits for a password that you have not typed, or its connection is held up in between.",
		"The time is `login_seconds` in [limits]. Many of these from one address hold connections open on purpose; `per_source` bounds them."),
	ADVICE(COMMAND_TIMEOUT, NETWORK,
		"Before a login a whole command has to come within a minute. What came was no whole line, or nothing.",
		"Try again. If you typed by hand, be quicker, or paste the lines.",
		"A mail program sends each command at once; a connection that drips is a scanner, an attack, or a network that loses packets."),
	ADVICE(IDLE, SETTINGS,
		"The mailbox was open and no command came for so many minutes, so the session was ended. As without QUIT, nothing that was marked is deleted.",
		"Connect again. If your mail is deleted here and comes back, the mail program does not end its sessions with QUIT, or the network lost the connection.",
		"The time is `idle_minutes` in [limits], at least 10 (RFC 1939). `postern log --user NAME` shows how often it happens, and from where."),
	ADVICE(STOPPING, SERVER,
		"The administrator stopped or restarted the server. What was marked is not deleted, because QUIT did not come.",
		"Fetch again in a minute.",
		"If nobody did that, look at `journalctl -u postern` for the cause. A reload (`systemctl reload postern`) leaves sessions alone."),
	ADVICE(MADE_ROOM, NETWORK,
		"All the server's workers were in use, and of those who had not logged in this connection had waited longest, so it had to go for a newcomer.",
		"Connect again; a mail program that logs in at once is not affected.",
		"Somebody may be holding connections open: `ss -tn state established` shows from where, and so do the log's lines `refused` and those with `login=no`. "
		"`max` in [workers] is how many are served."),
	ADVICE(TAKEN_OVER, OTHER_PROGRAM,
		"A newer login of the same user came from the address named, and this session had been silent for half a minute, so it had to yield. What was "
		"marked in it is not deleted.",
		"Two of your devices or programs fetch the same mailbox. Let them fetch at different times, or only one of them delete.",
		"This is `on_locked = take-over` in [maildrop]; `refuse` lets the older session keep the mailbox. `postern log --user NAME` shows both."),
	ADVICE(ENDED, SERVER,
		"The administrator ended this session by hand. What was marked in it is not deleted, because QUIT did not come.",
		"Fetch again in a minute. If that goes on, ask the administrator.",
		"Somebody ran `postern sessions --end NAME` as root. `postern log --user NAME` shows when."),
	ADVICE(KEEPER_LOST, SERVER,
		"The process that has the mailbox ended before the session did. Nothing was deleted.",
		"Connect again. Tell the administrator the reference if it happens more than once.",
		"That should not happen: the log has a line of the master that says how the worker ended (a signal, or want of memory: `dmesg | grep -i oom`). "
		"Please report it with that line."),
	ADVICE(UPDATE_LOST, SERVER,
		"The process that has the mailbox ended while it deleted at QUIT. Some of the marked messages may be deleted, others not; no other message is touched, "
		"and the next login finishes what was begun.",
		"Connect again and look at what is left.",
		"The log has a line of the master that says how the worker ended. `postern recover` lists an update that is to be finished. Please report it with that line."),
	ADVICE(SERVER_FULL, SERVER,
		"As many connections are open as the server takes in all.",
		"Try again in a minute.",
		"The number is `max` in [workers]. `ss -tn state established '( sport = :110 or sport = :995 )'` shows from where they come; raise `max` if they are your "
		"users' (`man postern.conf` says what the unit has to allow then)."),
	ADVICE(SOURCE_FULL, NETWORK,
		"As many connections are open from your address as one address may have. Everybody behind the same router or proxy counts together.",
		"Close mail programs that fetch the same mail, or wait until others have finished.",
		"The number is `per_source` in [limits]; raise it where many users come through one address. The address of a webmail or a proxy of yours goes into "
		"`gateways` instead. `ss -tn state established` shows the connections."),
	ADVICE(CROWDED, NETWORK,
		"More than half of all workers serve connections that have not logged in, and there already are some from your address. In such a crowd further ones "
		"from the same address are refused at random.",
		"Close mail programs that only wait, and try again in a minute. One connection that logs in is always let in.",
		"That is a flood, or `max` in [workers] is small for this host. `ss -tn state established` shows who; fail2ban's filter for postern can keep them off."),
	ADVICE(NO_PROXY_HEADER, SERVER,
		"Your address is set up as a proxy that says for whom each connection is, before anything else, and this connection began with something else, or with nothing.",
		"You can do nothing about it; tell the administrator.",
		"The address stands in `proxies` in [listen]. Switch the header on there (haproxy: `send-proxy` or `send-proxy-v2` in the `server` line, also for its checks), "
		"or take the address out. Mail programs on the proxy's host itself come by way of the proxy, too."),
	ADVICE(THROTTLED, SERVER,
		"New sessions break at once, or cannot be started, so the server pauses before it tries again.",
		"Try again in a minute; tell the administrator if it stays so.",
		"The log has the cause just before: lines `ended with status`, `killed by signal`, `cannot start a worker` or `cannot fork`. "
		"Look at memory, `TasksMax=` and `LimitNOFILE=` of the unit, and run `posternd -t`."),
};
const size_t advice_connection_count = sizeof advice_connection / sizeof advice_connection[0];
