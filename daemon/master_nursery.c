/*
 * master_nursery.c - the nursery and the signer that gates are made with: started, taken into use, replaced when they die or at a reload.
 * Runs in: master, as root where started so. Trusts: the configuration; what a nursery and a signer report.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/master_inside.h"
#include "daemon/prepare.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"

static void want_nursery(struct master *m)
{
	m->rereading = false;
	if (m->coming.pid == 0 && m->nursery_due == 0 && !m->stopping)
		m->nursery_due = m->nursery_started + NURSERY_PAUSE_MS;
}

/*
 * To the service manager: we are ready, and what it shows to who asks how we are (sd_notify(3)): why no gates can be made (NULL: they can),
 * why the last reload failed, and since when the settings that are used are in force.
 */
static void show_status(const struct master *m, const char *no_gates)
{
	static const char head[] = "READY=1\nSTATUS=";
	char text[sizeof head + (size_t)2 * MASTER_TROUBLE_MAX + 256], since[32];
	struct tm broken;
	struct buf b = BUF_OVER(text);
	(void)strftime(since, sizeof since, "%F %T", localtime_r(&m->settings_since, &broken));
	(void)buf_add_text(&b, head);
	if (no_gates != NULL)
		(void)buf_printf(&b, "NOBODY NEW can log in: %s. ", no_gates);
	(void)buf_printf(&b, "%sServing with the configuration of %s", m->reload_trouble, since);
	/* A file's name may hold anything; a line end would begin another word to the manager. */
	for (size_t i = sizeof head - 1; i < b.len; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	service_notify(buf_text(&b));
}

void master_end_reload(struct master *m, const char *trouble)
{
	const time_t now = time(NULL);
	char when[32];
	struct tm broken;
	(void)strftime(when, sizeof when, "%F %T", localtime_r(&now, &broken));
	m->reload_trouble[0] = '\0';
	if (trouble != NULL)
		(void)snprintf(m->reload_trouble, sizeof m->reload_trouble, "Reload FAILED at %s: %s. ", when, trouble);
	/* What was prepared for the new settings, before it was known that they would not come. */
	if (trouble != NULL)
		(void)sandbox_prepare(m->settings->sandbox == SANDBOX_REQUIRED);
	free(m->next);
	m->next = NULL;
	if (m->nursery.pid == 0 || (m->nursery.signer < 0 && m->settings->certificate[0] != '\0'))
		want_nursery(m);
	show_status(m, NULL);
}

/* The new nursery will not come up. At the start that is the end; later what is there goes on. */
static void lose_coming(struct master *m, const char *text)
{
	const bool rereading = m->rereading;
	log_line(LOG_ERR, "%s%s", text, m->next != NULL ? "; the old configuration and certificate stay" : rereading ? "; the certificate that was read before stays" : "");
	nursery_abandon(&m->coming);
	m->rereading = false;
	if (!m->serving) {
		m->stopping = true;
	} else if (m->next != NULL) {
		master_end_reload(m, text);
	} else if (!rereading) {
		m->nursery_due = now_ms() + NURSERY_PAUSE_MS;
		show_status(m, text);
	}
}

static void start_nursery(struct master *m, bool rereading)
{
	char problem[NURSERY_TEXT_MAX];
	m->rereading = rereading;
	m->nursery_due = 0;
	m->nursery_started = now_ms();
	/* Without a nursery all are refused, and who comes again at once has the descriptors that it takes. */
	if (!rereading)
		refusals_close(&m->refusals);
	if (nursery_start(&m->coming, &m->options->programs, m->next != NULL ? m->next : m->settings, problem) != 0)
		lose_coming(m, problem);
}

void master_start_nursery(struct master *m)
{
	start_nursery(m, false);
}

static void await_reread(struct master *m)
{
	m->reread_due = m->settings->reread_seconds > 0 && m->settings->certificate[0] != '\0' ? now_ms() + 1000LL * (long long)m->settings->reread_seconds : 0;
}

void master_reread_certificate(struct master *m)
{
	await_reread(m);
	/* One that is on its way has read it, too, or will. */
	if (m->coming.pid == 0 && m->nursery_due == 0)
		start_nursery(m, true);
}

/* Whoever waits has read on stderr what was wrong; from now on there is only the log. */
static void release_starter(struct master *m)
{
	log_open(m->settings->log_target, m->settings->log_level, !m->options->programs.background);
	log_only();
	(void)!write(m->options->ready, "", 1);
	(void)close(m->options->ready);
}

static void announce(struct master *m)
{
	m->serving = true;
	m->settings_since = time(NULL);
	show_status(m, NULL);
	if (m->options->ready >= 0)
		release_starter(m);
	log_line(LOG_NOTICE, "postern %s serves; %zu listening sockets", POSTERN_VERSION, m->listeners.count);
	recorder_start(&m->recorder);
}

void master_look_at_certificate(struct master *m)
{
	char text[NURSERY_TEXT_MAX];
	m->certificate_due = now_ms() + CERTIFICATE_MS;
	if (certificate_is_old(m->settings, &m->nursery.seen, time(NULL), text, sizeof text))
		log_line(LOG_WARNING, "%s", text);
}

/* The new nursery is ready: from now on workers are made with it, and with the settings it has. */
static void take_nursery(struct master *m)
{
	char problem[NURSERY_TEXT_MAX];
	const bool told = m->next != NULL || !m->serving || m->rereading;
	if (m->rereading && memcmp(m->coming.certificates, m->nursery.certificates, sizeof m->coming.certificates) == 0) {
		log_line(LOG_DEBUG, "the certificate is as it was read before");
		nursery_abandon(&m->coming);
		m->rereading = false;
		return;
	}
	if (m->next != NULL && listeners_apply(&m->listeners, m->next, problem, sizeof problem) != 0) {
		lose_coming(m, problem);
		return;
	}
	nursery_dismiss(&m->nursery);
	m->nursery = m->coming;
	m->coming = NO_NURSERY;
	m->pool.nursery = m->nursery.channel;
	m->pool.signer = m->nursery.signer;
	if (m->next != NULL) {
		const bool recorded_otherwise = recorder_settings_differ(m->settings, m->next);
		*m->settings = *m->next;
		m->settings_since = time(NULL);
		master_end_reload(m, NULL);
		log_open(m->settings->log_target, m->settings->log_level, !m->options->programs.background);
		log_line(LOG_NOTICE, "configuration and certificate read again");
		prepare_own_directories(m->settings);
		if (recorded_otherwise)
			recorder_renew(&m->recorder, m->settings);
	}
	if (m->rereading)
		log_line(LOG_NOTICE, "the certificate was renewed, and read again");
	m->rereading = false;
	await_reread(m);
	pool_retire_idle(&m->pool);
	if (!m->serving)
		announce(m);
	else if (!told)
		show_status(m, NULL);
	/* Another nursery for the same certificate is no news. */
	if (told) {
		if (settings_lack_tls(m->settings))
			log_line(LOG_WARNING, "[tls] certificate: %s", settings_lacking_tls);
		master_look_at_certificate(m);
		if (m->nursery.seen.doubt[0] != '\0')
			log_line(LOG_WARNING, "%s", m->nursery.seen.doubt);
	}
}

void master_give_up_coming(struct master *m)
{
	lose_coming(m, NURSERY_SLOW);
}

void master_hear_coming(struct master *m)
{
	char problem[NURSERY_TEXT_MAX];
	int r = nursery_coming(&m->coming, problem);
	if (r > 0)
		take_nursery(m);
	else if (r < 0)
		lose_coming(m, problem);
}

void master_lose_signer(struct master *m)
{
	if (!m->stopping)
		log_line(LOG_CRIT, "the signer, which holds the TLS key, is gone; starting another");
	(void)close(m->nursery.signer);
	m->nursery.signer = m->pool.signer = -1;
	want_nursery(m);
}

void master_hear_nursery(struct master *m)
{
	struct nursery_report report;
	int r = nursery_hear(&m->nursery, &report);
	if (r > 0 && report.verb == NURSERY_GATE_DIED) {
		pool_gate_died(&m->pool, report.worker, report.signal, report.status);
		/* Whoever made it die may have learnt where things lie: the next gates lie elsewhere. */
		want_nursery(m);
	} else if (r < 0) {
		if (!m->stopping)
			log_line(LOG_CRIT, "the gate nursery is gone; starting another");
		nursery_dismiss(&m->nursery);
		m->pool.nursery = m->pool.signer = -1;
		pool_retire_idle(&m->pool);
		want_nursery(m);
	}
}
