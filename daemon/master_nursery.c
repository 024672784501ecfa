/*
 * master_nursery.c - the nursery and the signer that gates are made with: started, taken into use, replaced when they die or at a reload.
 * Runs in: master, as root where started so. Trusts: the configuration; what a nursery and a signer report.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/master_inside.h"
#include "daemon/service.h"

static void want_nursery(struct master *m)
{
	if (m->coming.pid == 0 && m->nursery_due == 0 && !m->stopping)
		m->nursery_due = m->nursery_started + NURSERY_PAUSE_MS;
}

/* The reload is over, for better or worse. A nursery or signer that was lost meanwhile still has to be replaced. */
void master_end_reload(struct master *m)
{
	free(m->next);
	m->next = NULL;
	if (m->nursery.pid == 0 || (m->nursery.signer < 0 && m->settings->certificate[0] != '\0'))
		want_nursery(m);
	service_notify("READY=1");
}

/* The new nursery will not come up. At the start that is the end; later what is there goes on. */
static void lose_coming(struct master *m, const char *text)
{
	log_line(LOG_ERR, "%s%s", text, m->next != NULL ? "; the old configuration and certificate stay" : "");
	nursery_dismiss(&m->coming);
	if (!m->serving)
		m->stopping = true;
	else if (m->next == NULL)
		m->nursery_due = now_ms() + NURSERY_PAUSE_MS;
	else
		master_end_reload(m);
}

void master_start_nursery(struct master *m)
{
	char problem[NURSERY_TEXT_MAX];
	m->nursery_due = 0;
	m->nursery_started = now_ms();
	if (nursery_start(&m->coming, &m->options->programs, m->next != NULL ? m->next : m->settings, problem) != 0)
		lose_coming(m, problem);
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
	service_notify("READY=1");
	if (m->options->ready >= 0)
		release_starter(m);
	log_line(LOG_NOTICE, "postern %s serves; %zu listening sockets", POSTERN_VERSION, m->listeners.count);
	recorder_start(&m->recorder);
}

void master_look_at_certificate(struct master *m)
{
	char text[NURSERY_TEXT_MAX];
	m->certificate_due = now_ms() + CERTIFICATE_MS;
	if (certificate_is_old(m->settings, m->nursery.certificate_ends, time(NULL), text, sizeof text))
		log_line(LOG_WARNING, "%s", text);
}

/* The new nursery is ready: from now on workers are made with it, and with the settings it has. */
static void take_nursery(struct master *m)
{
	char problem[NURSERY_TEXT_MAX];
	const bool told = m->next != NULL || !m->serving;
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
		*m->settings = *m->next;
		master_end_reload(m);
		log_open(m->settings->log_target, m->settings->log_level, !m->options->programs.background);
		log_line(LOG_NOTICE, "configuration and certificate read again");
	}
	pool_retire_idle(&m->pool);
	if (!m->serving)
		announce(m);
	/* Another nursery for the same certificate is no news. */
	if (told) {
		if (settings_lack_tls(m->settings))
			log_line(LOG_WARNING, "[tls] certificate: %s", settings_lacking_tls);
		master_look_at_certificate(m);
	}
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

/* It says nothing more once it is ready: this is its end. Sessions go on, and connections in clear; TLS waits for the next one. */
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
