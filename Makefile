# postern: plain make, no configure step. `make help` lists what there is to make.
#
# The object lists of the programs are the privilege map: what is not linked into
# a program cannot run with that program's rights.

BUILD    ?= build
PREFIX   ?= /usr/local
SBINDIR  ?= $(PREFIX)/sbin
BINDIR   ?= $(PREFIX)/bin
LIBEXEC  ?= $(PREFIX)/lib/postern
MANDIR   ?= $(PREFIX)/share/man
DOCDIR   ?= $(PREFIX)/share/doc/postern
SYSCONF  ?= /etc
UNITDIR  ?= $(PREFIX)/lib/systemd/system
V        ?=
LINK     ?= static

# The first in debian/changelog.
VERSION  := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
CC       ?= cc

# What every compiler takes, and what only some do (gcc, clang; by version and machine). Those are asked for once, when
# the first file is compiled: which of the flags in $(1) does this compiler take for this machine, with $(2)?
takes = $(shell for flag in $(1); do $(CC) -Werror -O2 -U_FORTIFY_SOURCE $$flag $(2) \
	-x c -c -o /dev/null /dev/null 2>/dev/null && echo $$flag; done)

# Left out: -Wformat-truncation=2 takes every "%.*s" into a bounded place for a mistake (1 is part of -Wall);
# -Wjump-misses-init every goto to the end of a function, past a declaration (a use there is -Wmaybe-uninitialized's);
# -Wthread-safety: there are no threads.
WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wcast-qual -Wpointer-arith -Wundef -Wwrite-strings \
	-Wnull-dereference -Wswitch-enum -Wunused-result -Wredundant-decls -Wdate-time -Werror
WARN_ASK := -Walloca -Warith-conversion -Warray-bounds=2 -Wassign-enum -Wbidi-chars=any -Wcast-align=strict -Wcomma \
	-Wconditional-uninitialized -Wduplicated-branches -Wduplicated-cond -Wformat-overflow=2 -Wformat-signedness \
	-Wimplicit-fallthrough -Wimplicit-fallthrough=5 -Wlogical-op -Wshorten-64-to-32 -Wstringop-overflow=4 -Wtrampolines \
	-Wunreachable-code-aggressive -Wuse-after-free=3
# Not -fvisibility=hidden: a program exports nothing of its own (make harden-check looks). -Wstack-usage stands here since
# sanitizers need more; crypt(3)'s work area alone is 32 KiB.
HARDEN   := -O2 -U_FORTIFY_SOURCE -fstack-protector-strong -fPIE -fno-strict-aliasing -fno-strict-overflow \
	-fno-delete-null-pointer-checks -fno-common
HARDEN_ASK := -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard -ftrivial-auto-var-init=zero \
	-fzero-call-used-regs=used-gpr -Wstack-usage=40960
# Level 3 where compiler and C library know it.
FORTIFY  = $(firstword $(call takes,-D_FORTIFY_SOURCE=3,-include features.h) -D_FORTIFY_SOURCE=2)
HARDENLD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed
TAKEN_W = $(eval TAKEN_W := $$(call takes,$$(WARN_ASK)))$(TAKEN_W)
TAKEN_H = $(eval TAKEN_H := $$(call takes,$$(HARDEN_ASK)) $$(FORTIFY))$(TAKEN_H)

SANITIZE ?=
CPPFLAGS += -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' -DDEFAULT_CONFIG='"$(SYSCONF)/postern/postern.conf"' -I.
CFLAGS   ?= -g
# Where it is built is not written into what is built.
PLACE    := '-ffile-prefix-map=$(CURDIR)=.' '-ffile-prefix-map=$(BUILD)=build'
ALL_CFLAGS = -std=c11 $(WARNINGS) $(TAKEN_W) $(if $(SANITIZE),$(SANITIZE),$(HARDEN) $(TAKEN_H)) $(PLACE) $(CFLAGS) -MMD -MP
ALL_LDFLAGS = $(if $(SANITIZE),$(SANITIZE),$(HARDENLD)) $(LDFLAGS)

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")

# Which folder's objects each program is made of.
src   = $(sort $(wildcard $(1)/*.c))
obj   = $(patsubst %.c,$(BUILD)/%.o,$(1))
BASE    := $(call src,base)
STORAGE := $(call src,storage)
AUTH    := $(filter-out auth/pam_helper.c,$(call src,auth))
MAINS   := daemon/posternd.c daemon/nursery.c daemon/signer.c
DAEMON  := $(filter-out $(MAINS) daemon/heap.c daemon/sandbox_table.c,$(call src,daemon))
# What the gate's program takes of daemon/: the protocol, TLS, the RPC; nothing that opens a file of mail or asks PAM.
GATE    := $(addprefix daemon/,gate.c gate_end.c gate_list.c ahead.c pop3.c commands.c message.c tls.c tls_heap.c tls_error.c tls_version.c remote_key.c conn.c conn_bio.c conn_sign.c sign.c started.c rpc.c replies.c log.c address.c privilege.c frozen.c line.c replies_table.c doors.c languages.c sandbox.c)
# What holds the key: no TLS, nothing of POP3.
SIGNER  := $(addprefix daemon/,sign_key.c sign_chain.c sign.c tls_error.c started.c rpc.c log.c address.c privilege.c sandbox.c)
CLI     := $(call src,cli)

# The answers in other languages: po/*.po, compiled by gettext, read by tools/translate.c, become C (docs/design.md).
CATALOGUES := $(patsubst po/%.po,$(BUILD)/locale/%/LC_MESSAGES/postern.mo,$(sort $(wildcard po/*.po)))
TEXTS   := $(BUILD)/gen/languages_texts.o
# What each kind of process may ask of the kernel: daemon/sandbox_table.c, compiled by libseccomp, becomes C.
FILTERS := $(BUILD)/gen/sandbox_filters.o

PROGRAMS := $(addprefix $(BUILD)/,posternd posternd-gate posternd-sign posternd-pam postern)

# The programs, in $(BUILD).
all: $(PROGRAMS)

$(BUILD)/posternd: $(call obj,daemon/posternd.c daemon/heap.c) $(BUILD)/libdaemon.a $(BUILD)/libauth.a $(BUILD)/libstorage.a $(BUILD)/libbase.a
$(BUILD)/posternd: LIBS = -lsodium -lxxhash -lcrypt -linih
# posternd is forked for every session, and what a fork costs grows with the libraries mapped (measured, docs/design.md).
# It parses nothing that a client sent; what does, posternd-gate, uses the host's shared OpenSSL and so gets its updates.
# LINK=shared makes posternd like the others.
# Statically it also has an order: what a login runs lies side by side.
$(BUILD)/posternd: KIND = $(if $(SANITIZE)$(filter shared,$(LINK)),,-static-pie -Wl,-T,tools/login.ld)
$(BUILD)/posternd: tools/login.ld
$(BUILD)/posternd-gate: $(call obj,daemon/nursery.c daemon/heap.c $(GATE)) $(TEXTS) $(FILTERS) $(BUILD)/libbase.a
$(BUILD)/posternd-gate: LIBS = -lssl -lcrypto
# In these two what is freed can be wiped (daemon/heap.h).
$(BUILD)/posternd $(BUILD)/posternd-gate: WRAPPED = $(addprefix -Wl$(comma)--wrap=,free realloc reallocarray)
$(BUILD)/posternd-sign: $(call obj,daemon/signer.c $(SIGNER)) $(FILTERS) $(BUILD)/libbase.a
$(BUILD)/posternd-sign: LIBS = -lcrypto
$(BUILD)/posternd-pam: $(call obj,auth/pam_helper.c) $(BUILD)/libbase.a
$(BUILD)/posternd-pam: LIBS = -lpam
$(BUILD)/postern: $(call obj,$(CLI)) $(BUILD)/libdaemon.a $(BUILD)/libauth.a $(BUILD)/libstorage.a $(BUILD)/libbase.a
$(BUILD)/postern: LIBS = -lssl -lcrypto -lsodium -lxxhash -lcrypt -linih
# What other servers say, as data: part of the program.
$(BUILD)/cli/check_texts.o $(BUILD)/tests/unit/cli/test_check_rows.o: cli/pop3-texts.tsv cli/pop3-servers.tsv

$(PROGRAMS):
	$(call say,LD,$@)
	$(Q)$(CC) $(if $(KIND),$(filter-out -pie,$(ALL_LDFLAGS)),$(ALL_LDFLAGS)) $(KIND) $(WRAPPED) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(BUILD)/libbase.a: $(call obj,$(BASE))
$(BUILD)/libauth.a: $(call obj,$(AUTH))
$(BUILD)/libstorage.a: $(call obj,$(STORAGE))
$(BUILD)/libdaemon.a: $(call obj,$(DAEMON)) $(TEXTS) $(FILTERS)
$(BUILD)/libcli.a: $(call obj,$(filter-out cli/postern.c,$(CLI)))
$(BUILD)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcsD $@ $^

# The flags are part of what is compiled.
$(BUILD)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/tools/translate: $(call obj,tools/translate.c daemon/replies_table.c)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^
$(BUILD)/locale/%/LC_MESSAGES/postern.mo: po/%.po
	$(call say,MSGFMT,$<)
	$(Q)mkdir -p $(@D)
	$(Q)msgfmt --check -o $@ $<
$(TEXTS:.o=.c): $(BUILD)/tools/translate $(CATALOGUES)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BUILD)/tools/translate table $(BUILD)/locale >$@.new && mv $@.new $@
$(BUILD)/tools/filters: $(call obj,tools/filters.c daemon/sandbox_table.c)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lseccomp
$(FILTERS:.o=.c): $(BUILD)/tools/filters
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BUILD)/tools/filters >$@.new && mv $@.new $@
$(TEXTS) $(FILTERS): %.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# The translators' template from the reply table, and what is new in it into each po/*.po.
pot: $(BUILD)/tools/translate
	$< pot >po/postern.pot
	for po in po/*.po; do msgmerge --quiet --update --backup=none --no-wrap $$po po/postern.pot || exit; done

# Unit tests: tests/unit/FOLDER/test_X.c is one program, linked with FOLDER's library.
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*/test_*.c))
UNITLIBS := $(addprefix $(BUILD)/,libdaemon.a libauth.a libstorage.a libbase.a)
unit_of = $(filter $(BUILD)/unit/$(1)/%,$(UNIT))
$(call unit_of,base): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libbase.a
$(call unit_of,auth): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libauth.a $(BUILD)/libbase.a
$(call unit_of,storage): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libstorage.a $(BUILD)/libbase.a
$(call unit_of,daemon): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(UNITLIBS)
$(call unit_of,cli): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcli.a $(UNITLIBS)
$(UNIT):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) -lcunit -lsodium -lxxhash -lcrypt -linih -lssl -lcrypto

# Fuzz targets: tests/fuzz/fuzz_X.c. build/replay/X runs its corpus as tests; build/fuzz/X, made by clang, is libFuzzer's.
FUZZED  := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS := $(addprefix $(BUILD)/replay/,$(FUZZED))
FUZZERS := $(addprefix $(BUILD)/fuzz/,$(FUZZED))
# Functions that a target puts its own in the place of (ld --wrap): what ends or changes the process, or asks another one.
WORKER_SEAMS := leave violation panic fatal poll log_line log_event
both = $(BUILD)/replay/$(1) $(BUILD)/fuzz/$(1)
$(call both,keeper): SEAMS = $(WORKER_SEAMS) become_owner keep_only touch_pages forget_stack wipe_stack auth_verify auth_known session_init shrink_root sandbox_enter sandbox_renumber
$(call both,gate): SEAMS = $(WORKER_SEAMS) rpc_send wipe_stack
$(call both,signer) $(call both,recorder) $(call both,signature): SEAMS = $(WORKER_SEAMS)
$(call both,history): SEAMS = alarm
$(call both,index): SEAMS = clock_gettime time
$(REPLAYS): $(BUILD)/replay/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libcli.a $(UNITLIBS)
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libcli.a $(UNITLIBS)
$(FUZZERS): ENGINE = -fsanitize=fuzzer
# What the targets themselves compare is no hint to libFuzzer, nor is a line beside each pattern; to trace it took most of the time.
$(FUZZED:%=$(BUILD)/tests/fuzz/fuzz_%.o) $(BUILD)/cli/explain_find.o: ALL_CFLAGS += $(if $(findstring fuzzer,$(SANITIZE)),-fno-sanitize-coverage=trace-cmp)
$(REPLAYS) $(FUZZERS):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(ENGINE) $(addprefix -Wl$(comma)--wrap=,$(SEAMS)) -o $@ $(filter %.o %.a,$^) -lsodium -lxxhash -lcrypt -linih -lssl -lcrypto -lm

# What belongs to the tests only: PAM modules that misbehave.
PAMTESTS := $(patsubst tests/pam/%.c,$(BUILD)/tests/pam/%.so,$(wildcard tests/pam/*.c))
$(BUILD)/tests/pam/%.so: tests/pam/%.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=c11 $(WARNINGS) -O1 -g -fPIC -shared -o $@ $< -lpam

unit: $(UNIT) $(PAMTESTS) $(REPLAYS)

# What may include what: the folders' order (docs/design.md), held by grep.
layers:
	@tests/layers.sh

# Everything that a change has to pass, after installing what it needs.
check:
	tools/packages.sh check
	$(MAKE) all unit layers
	BUILD=$(BUILD) CC='$(CC)' LINK=$(LINK) tests/harden.py
	BUILD=$(BUILD) tests/run.sh

# How the programs are built (a part of check), and whether two builds are the same to the octet (a part of lint: two minutes).
harden-check: all
	BUILD=$(BUILD) CC='$(CC)' LINK=$(LINK) tests/harden.py
	tests/reproducible.sh CC='$(CC)' LINK=$(LINK)

# Installed into a bare Debian 12 and booted there by systemd: PAM, /var/mail, TLS, the unit's score, reload, crash, socket units.
booted: all
	tools/packages.sh booted
	BUILD=$(BUILD) tests/booted/run.sh

# The fault tests in full: every call of every pattern, thousands of deliveries, images of disks. Takes more than an hour.
fault:
	tools/packages.sh fault
	$(MAKE) all unit
	BUILD=$(BUILD) POSTERN_FAULT=full tests/run.sh fault

# The same kills and full disks for Dovecot, beside us: a table.
fault-peers: all
	tools/packages.sh peers
	POSTERN_BUILD=$(BUILD) unshare --net sh -c 'ip link set lo up && python3 tests/fault/peers.py'

# The same tests as check under AddressSanitizer and UndefinedBehaviorSanitizer.
asan:
	tools/packages.sh check
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE='$(ASAN)' all unit
	BUILD=$(BUILD)/asan tests/run.sh
ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DPOSTERN_COVERAGE

# Fuzzing: FUZZ_SECONDS (3600) for each target (FUZZ: all), FUZZ_JOBS (1) at a time. Each change has 60 seconds (.ci/run).
fuzz:
	tools/packages.sh fuzz
	$(MAKE) BUILD=$(BUILD)/fuzzing CC=clang SANITIZE='$(ASAN) -fsanitize=fuzzer-no-link' fuzzers
	BUILD=$(BUILD)/fuzzing tests/fuzz/run.sh $(FUZZ)
fuzzers: $(FUZZERS)

# The corpora of the fuzz targets as tests; part of check.
fuzz-replay: $(REPLAYS)
	BUILD=$(BUILD) ONLY=replay tests/run.sh

# The unit tests and the end-to-end tests under valgrind.
valgrind:
	tools/packages.sh check
	$(MAKE) BUILD=$(BUILD)/shared LINK=shared CFLAGS='-g -DPOSTERN_COVERAGE' all unit
	BUILD=$(BUILD)/shared VALGRIND=yes tests/run.sh

# Lines that the tests reach, by folder, and branches of the code that removes mail.
coverage:
	tools/packages.sh coverage
	rm -rf $(BUILD)/coverage
	$(MAKE) BUILD=$(BUILD)/coverage SANITIZE='-O0 --coverage -fprofile-update=atomic -DPOSTERN_COVERAGE' all unit
	BUILD=$(BUILD)/coverage tests/coverage.sh

# The other compiler, the analysers.
lint:
	tools/packages.sh lint
	$(MAKE) BUILD=$(BUILD)/clang CC=clang all unit
	$(MAKE) BUILD=$(BUILD)/analyzer CFLAGS='-g -fanalyzer' all
	tests/lint.sh
	tests/reproducible.sh CC='$(CC)' LINK=$(LINK)

# Speed beside its peers, and how it grows; needs root, 30 ports from PORT_BASE (2110), and some minutes. Plots in build/bench.
bench: all
	tools/packages.sh bench
	BUILD=$(BUILD) OUT=$(BUILD)/bench bench/table.py
	POSTERN_BUILD=$(BUILD) OUT=$(BUILD)/bench bench/scale.py

# Mixed sessions for SOAK_MINUTES (30): memory and descriptors stay as they are, every message is accounted for.
soak: all
	tools/packages.sh check
	POSTERN_BUILD=$(BUILD) unshare --net sh -c 'ip link set lo up && exec python3 tests/load/soak.py'

# The manual page and the page about failures, from the reply table.
errors: $(BUILD)/postern
	$(BUILD)/postern explain --man >docs/postern-errors.7
	$(BUILD)/postern explain --html >docs/errors.html

# A demo on 127.0.0.1:$PORT (1110) and $TLS_PORT (1995), in the foreground.
run:
	BUILD=$(BUILD) tools/demo.sh

# Onto this host, or below DESTDIR. PREFIX (/usr/local) and the like are heeded; a configuration that is there stays.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(DOCDIR) $(DESTDIR)$(UNITDIR) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(SYSCONF)/postern $(DESTDIR)$(SYSCONF)/pam.d
	install -m 755 $(BUILD)/posternd $(DESTDIR)$(SBINDIR)/posternd
	install -m 755 $(BUILD)/postern $(DESTDIR)$(BINDIR)/postern
	install -m 755 $(BUILD)/posternd-gate $(BUILD)/posternd-sign $(BUILD)/posternd-pam $(DESTDIR)$(LIBEXEC)/
	sed 's|/usr/sbin/posternd|$(SBINDIR)/posternd|; s|/etc/postern/|$(SYSCONF)/postern/|' systemd/postern.service >$(DESTDIR)$(UNITDIR)/postern.service
	install -m 644 systemd/postern-pop3.socket systemd/postern-pop3s.socket $(DESTDIR)$(UNITDIR)/
	install -m 644 systemd/postern.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	install -m 644 systemd/postern.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf
	[ -e $(DESTDIR)$(SYSCONF)/postern/postern.conf ] || install -m 644 systemd/postern.conf $(DESTDIR)$(SYSCONF)/postern/postern.conf
	[ -e $(DESTDIR)$(SYSCONF)/pam.d/postern ] || install -m 644 systemd/postern.pam $(DESTDIR)$(SYSCONF)/pam.d/postern
	install -m 644 README.md SECURITY.md docs/*.md docs/errors.html $(DESTDIR)$(DOCDIR)/
	install -d $(DESTDIR)$(DOCDIR)/fail2ban/filter.d $(DESTDIR)$(DOCDIR)/fail2ban/jail.d
	install -m 644 systemd/fail2ban/filter.d/postern.conf $(DESTDIR)$(DOCDIR)/fail2ban/filter.d/
	install -m 644 systemd/fail2ban/jail.d/postern.conf $(DESTDIR)$(DOCDIR)/fail2ban/jail.d/
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8
	install -m 644 docs/postern-errors.7 $(DESTDIR)$(MANDIR)/man7/
	install -m 644 docs/postern.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 644 docs/postern.conf.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 docs/posternd.8 $(DESTDIR)$(MANDIR)/man8/

# A Debian package, in $(BUILD), in place of an older one.
deb:
	tools/packages.sh deb
	mkdir -p $(BUILD)
	rm -f $(BUILD)/postern*.deb
	DEB_DIR=$(BUILD) debian/rules binary
	debian/rules clean

# The targets and what they are for.
help:
	@awk '/^# / {text = substr($$0, 3)} /^[a-z-]+:/ && text {sub(":.*", ""); printf "%-12s %s\n", $$0, text} !/^# / {text = ""}' Makefile

clean:
	rm -rf $(BUILD)

.PHONY: help deb all pot unit layers check harden-check booted fault fault-peers soak errors asan fuzz fuzzers fuzz-replay valgrind coverage lint bench run install clean
.SECONDARY:
-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
