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

VERSION  := 0.1.0
CC       ?= cc

WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wcast-qual -Wpointer-arith -Wundef -Wwrite-strings \
	-Wnull-dereference -Wswitch-enum -Wunused-result -Wredundant-decls -Werror
HARDEN   := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE \
	-fno-strict-aliasing -fno-delete-null-pointer-checks -fno-common
HARDENLD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed
SANITIZE ?=
CPPFLAGS += -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' -DDEFAULT_CONFIG='"$(SYSCONF)/postern/postern.conf"' -I.
CFLAGS   ?= -g
ALL_CFLAGS = -std=c11 $(WARNINGS) $(if $(SANITIZE),$(SANITIZE),$(HARDEN)) $(CFLAGS) -MMD -MP
ALL_LDFLAGS = $(if $(SANITIZE),$(SANITIZE),$(HARDENLD)) $(LDFLAGS)

Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")

# Which folder's objects each program is made of.
src   = $(wildcard $(1)/*.c)
obj   = $(patsubst %.c,$(BUILD)/%.o,$(1))
BASE    := $(call src,base)
STORAGE := $(call src,storage)
AUTH    := $(filter-out auth/pam_helper.c,$(call src,auth))
MAINS   := daemon/posternd.c daemon/nursery.c
DAEMON  := $(filter-out $(MAINS),$(call src,daemon))
# What the gate's program takes of daemon/: the protocol, TLS, the RPC; nothing that opens a file of mail or asks PAM.
GATE    := $(addprefix daemon/,gate.c pop3.c commands.c message.c tls.c tls_version.c conn.c rpc.c replies.c log.c address.c privilege.c line.c)
CLI     := $(call src,cli)

PROGRAMS := $(addprefix $(BUILD)/,posternd posternd-gate posternd-pam postern)

all: $(PROGRAMS)

$(BUILD)/posternd: $(call obj,daemon/posternd.c) $(BUILD)/libdaemon.a $(BUILD)/libauth.a $(BUILD)/libstorage.a $(BUILD)/libbase.a
$(BUILD)/posternd: LIBS = -lsodium -lcrypt -linih
$(BUILD)/posternd-gate: $(call obj,daemon/nursery.c $(GATE)) $(BUILD)/libbase.a
$(BUILD)/posternd-gate: LIBS = -lssl -lcrypto -lsodium
$(BUILD)/posternd-pam: $(call obj,auth/pam_helper.c) $(BUILD)/libbase.a
$(BUILD)/posternd-pam: LIBS = -lpam
$(BUILD)/postern: $(call obj,$(CLI)) $(BUILD)/libauth.a $(BUILD)/libbase.a
$(BUILD)/postern: LIBS = -lsodium -lcrypt

$(PROGRAMS):
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(BUILD)/libbase.a: $(call obj,$(BASE))
$(BUILD)/libauth.a: $(call obj,$(AUTH))
$(BUILD)/libstorage.a: $(call obj,$(STORAGE))
$(BUILD)/libdaemon.a: $(call obj,$(DAEMON))
$(BUILD)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# Unit tests: tests/unit/FOLDER/test_X.c is one program, linked with FOLDER's library.
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*/test_*.c))
UNITLIBS := $(addprefix $(BUILD)/,libdaemon.a libauth.a libstorage.a libbase.a)
$(BUILD)/unit/base/%: $(BUILD)/tests/unit/base/%.o $(BUILD)/libbase.a
$(BUILD)/unit/auth/%: $(BUILD)/tests/unit/auth/%.o $(BUILD)/libauth.a $(BUILD)/libbase.a
$(BUILD)/unit/storage/%: $(BUILD)/tests/unit/storage/%.o $(BUILD)/libstorage.a $(BUILD)/libbase.a
$(BUILD)/unit/daemon/%: $(BUILD)/tests/unit/daemon/%.o $(UNITLIBS)
$(UNIT):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) -lcunit -lsodium -lcrypt -linih -lssl -lcrypto

unit: $(UNIT)

clean:
	rm -rf $(BUILD)

.PHONY: all unit clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
