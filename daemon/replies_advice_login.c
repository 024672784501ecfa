/*
 * replies_advice_login.c - advice about encryption and the login.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 */
#include "daemon/replies_advice.h"

#define NOTHING "There is nothing to do on the server."

const struct advice_row advice_login[] = {
	ADVICE(MECHANISM_UNKNOWN, SETTINGS,
		"The program asked for a way to log in that this server does not offer: an encrypted password (APOP, CRAM-MD5), OAuth, Kerberos or the like.",
		"Choose the ordinary password (`normal password`, `password`) in the mail program, together with SSL/TLS.", NOTHING),
	ADVICE(AUTH_CANCELLED, SETTINGS,
		"The program took its login back in the middle of AUTH.", "Try again. If it happens each time, choose the ordinary password login.", NOTHING),
	ADVICE(BAD_BASE64, SETTINGS,
		"What followed AUTH PLAIN is not base64. It counts as a failed login.",
		"By hand, use USER and PASS, which need no base64. A mail program that does this has a fault; report it to its makers.", NOTHING),
	ADVICE(BAD_PLAIN, SETTINGS,
		"What followed AUTH PLAIN does not consist of an identity, a user name and a password with NUL octets between them. It counts as a failed login.",
		"By hand, use USER and PASS. In a mail program, is the field for the user name empty?", NOTHING),
	ADVICE(OTHER_IDENTITY, SETTINGS,
		"AUTH PLAIN can log in as one user with the password of another, and this server does not do that.",
		"Leave the field for another identity (`authorization identity`, `login as`) empty.", NOTHING),
	ADVICE(TLS_FIRST, SETTINGS,
		"Passwords are not taken over a connection that others can read. Nothing was tried with the name that came.",
		"Switch on encryption in the mail program: SSL/TLS with port 995, or STARTTLS with port 110.",
		"This is `plaintext_login` in [tls] at work. Leave it so, and tell the user the ports. A mail program that asks first (CAPA) does not get this "
		"answer, and tells of a missing way to log in: the log line `wrong door` (no-tls) has its address. Only a network that nobody else can read is a reason for `always`."),
	ADVICE(TLS_FIRST_PASS, SETTINGS,
		"The password was sent over a connection that others can read. It was refused unread; whether it was right was not looked at.",
		"Switch on encryption in the mail program (SSL/TLS with port 995, or STARTTLS), and then change the password: somebody may have read it.",
		"Ask the user to change the password. `plaintext_login` in [tls] keeps the server from taking it, but cannot keep a program from sending it."),
	ADVICE(TLS_ALREADY, SETTINGS,
		"STLS came on a connection that is encrypted already.", "Choose SSL/TLS or STARTTLS in the mail program, not both.", NOTHING),
	ADVICE(TLS_NOT_OFFERED, SERVER,
		"The server has no certificate, so there is no encryption; and from the address of this client it takes no password without it.",
		"Tell the administrator. No setting of yours gets around it.",
		"Set `certificate` and `key` in [tls], check with `posternd -t`, and reload with `systemctl reload postern`. Without a certificate users can log in "
		"only from where `plaintext_login` admits them."),
	ADVICE(TLS_PIPELINED, SETTINGS,
		"Commands came together with STLS, before the encryption had begun. A stranger in the network could have put them there, so the connection was closed.",
		"Try again, and use SSL/TLS with port 995 if it happens each time. The mail program, or an antivirus program in between, does not wait for the answer to STLS.",
		"If many users in one network see it, look for a box there that changes mail connections."),

	ADVICE(NOT_ACCEPTED, ACCOUNT,
		"User name and password together do not open a mailbox here. Which of the two is wrong is not told to strangers, so that nobody can find out who has an account.",
		"Check the user name first (with or without the part behind @?), then type the password again in the mail program. If webmail or another service of this "
		"server takes the same password, tell the administrator the reference.",
		"The log has the true reason, and `postern explain` with the reference shows it. `explain_failures` in [auth] says who is told, and `login_help` adds "
		"a sentence of your own to this answer."),
	ADVICE(MAILBOX_UNKNOWN, ACCOUNT,
		"No back end of this server knows a user of that name. The password was not looked at.",
		"Look at the spelling of the user name, and try it with or without the part behind the @. Upper and lower case may matter.",
		"Look with `postern passwd list` and `getent passwd NAME`. `backends` in [auth] says which of them are asked. A user that is in neither has to be "
		"added, for example with `postern passwd add NAME`. Where users write capitals, or a domain behind the name, `user_names` and `local_domains` in [auth] "
		"are for that."),
	ADVICE(INVALID_PASSWORD, ACCOUNT,
		"The user exists, and this is not the password; or PAM takes none, because the account is locked.",
		"Type the password again in the mail program; a phone or a second computer may still have an old one. Ask for a new one if it is forgotten.",
		"Check what the user types with `postern passwd verify NAME`, or give a new password with `postern passwd set NAME`. (PAM: `passwd -S NAME` says "
		"whether it is locked, L, or there is none, NP; `passwd NAME` gives a new one.) "
		"`postern log --user NAME` shows which address sends the wrong one, and how often."),
	ADVICE(EMPTY_PASSWORD, SETTINGS,
		"The program sent a password of no length, which is never right here.",
		"Type the password into the mail program again. It has lost or not asked for it.",
		"An empty password is refused even where an account has none. " NOTHING),
	ADVICE(UID_REFUSED, ACCOUNT,
		"The account is root's or a system account, and those are not let in by mail. Whether the password was right is not said.",
		"Use an ordinary account. Have root's mail sent on to one with an alias.",
		"Compare `id NAME` with `minimum_uid` in [auth]. Lower that, or give a line of the passwd file another uid; uid 0 is never let in."),
	ADVICE(ACCOUNT_LOCKED, ACCOUNT,
		"The record of this user has no password that could open it: it is empty, `x`, or begins with `!` or `*`.",
		"Ask the administrator for a password.",
		"Set one with `postern passwd set NAME`. If the user's password is in /etc/shadow, the back end pam has to be asked: see `backends` in [auth]."),
	ADVICE(ACCOUNT_EXPIRED, ACCOUNT,
		"User name and password are right, and PAM says that the account has expired.",
		"Ask the administrator to extend the account. Your settings are right: do not change them.",
		"See `chage -l NAME`; `chage -E -1 NAME` removes the date. With LDAP or SSSD the date is in the directory."),
	ADVICE(PASSWORD_EXPIRED, ACCOUNT,
		"User name and password are right, and PAM wants a new password before it lets anybody in. POP3 has no way to set one.",
		"Set a new password where you usually do that (a login shell, a web page), then write it into the mail program.",
		"See `chage -l NAME`; `passwd NAME` sets a new password, `chage -M -1 NAME` lets it never expire."),
	ADVICE(ACCESS_DENIED, ACCOUNT,
		"User name and password are right, and a rule of PAM's account stage forbids this login: a list of users, a time of day, a host, or /etc/nologin.",
		"Ask the administrator whether you may use POP3. Your settings are right: do not change them.",
		"`postern explain` with the reference shows PAM's code. Look at the account lines of /etc/pam.d/postern (`pam_service` in [auth]), at pam_access and "
		"pam_succeed_if there, and whether /etc/nologin exists."),
	ADVICE(TRIES_EXCEEDED, ACCOUNT,
		"PAM counted too many wrong passwords for this account and refuses for a while, whatever the password.",
		"Correct the password in every device, then wait; each further try may begin the time anew.",
		"`postern log --user NAME` shows which address sends wrong passwords. With pam_faillock `faillock --user NAME` shows the count, and "
		"`faillock --user NAME --reset` ends it."),
	ADVICE(SLOWED, NETWORK,
		"So many wrong passwords came from your network, or for this user, that each further one has to wait for its turn. This one was not looked at, so "
		"nothing is known about it.",
		"Correct the password in every device that has an old one, wait as long as the answer says, and try again. Do not change the password because of this answer.",
		"`postern log` shows who sends wrong passwords. `free_failures` and `longest_wait` in [limits] are the rule; raise the first where many users come through "
		"one address, and write that of a webmail or a proxy of yours into `gateways`. A user who logged in from that network before is not slowed by others."),
	ADVICE(TOO_MANY_LOGINS, ACCOUNT,
		"So many logins failed on this connection that it was closed. Each of them had its own answer, which says why.",
		"Look at the answers before this one, correct user name or password, and connect again.",
		"The number is `login_tries` in [limits]. Each failed login has a line of its own in the log."),
	ADVICE(AUTH_TEMPORARY, SERVER,
		"Whoever knows the passwords could not be asked: PAM or one of its modules failed or hung, the user database did not answer, or the passwd file was "
		"being written. Nothing was found out about the password.",
		"Do not change the password or the settings. Try again in some minutes; tell the administrator if it stays so.",
		"`postern explain` with the reference shows what failed. Try `getent passwd NAME`, see that SSSD, LDAP or Kerberos run, and read what PAM's modules wrote "
		"with `journalctl -t postern -t posternd-pam --since -1h`. PAM has 60 seconds before its helper is ended."),
	ADVICE(AUTH_SETUP, SERVER,
		"The server cannot check passwords as it is set up: the passwd file is refused or gone, a line in it cannot be used, the PAM service or one of its modules "
		"is missing, or PAM accepts users for whom the host has no account. Nothing was found out about the password.",
		"Do not change the password or the settings. Tell the administrator the reference.",
		"Run `posternd -t`, which looks at the passwd file and at the PAM service; `postern explain` with the reference names the file and line. The passwd file "
		"must not be readable by others: `chmod o= /etc/postern/passwd`."),
	ADVICE(RECONNECT, SERVER,
		"The last login failed, not for its user name or password, and this connection takes no other: it was the last of so many, or the process that "
		"serves the connection has already given up the rights to try another. The answer before this one says why.",
		"Connect again. Look at the answer before this one for the cause.",
		"The line before this one in the log, of the same process, has the cause. How many logins a connection has is `login_tries` in [limits]."),
};
const size_t advice_login_count = sizeof advice_login / sizeof advice_login[0];
