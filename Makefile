# SPDX-License-Identifier: Apache-2.0
# bryo: `make demo` and `make check` are what a newcomer needs; see README.md.

CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share
BASHCOMP := bash-completion/completions/bryo
ZSHCOMP := zsh/site-functions/_bryo
FISHCOMP := fish/vendor_completions.d/bryo.fish
LIBEXECDIR ?= $(PREFIX)/libexec/bryo
SYSCONFDIR ?= /etc
VERSION := 0.1.0
COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
B := build

# STATIC=0 links shared libraries: for distributions and for the sanitizers.
# Linking the shared ones costs every invocation a third of a millisecond.
STATIC ?= 1
# SANITIZE=1: AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer.
SANITIZE ?= 0
# WERROR=1: for CI only; a newer compiler's new warning is no reason not to build.
WERROR ?= 0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wundef
BASE := -std=gnu17 -D_GNU_SOURCE -iquote . $(WARN) -fstack-protector-strong -fno-common \
	-ffunction-sections -fdata-sections
LINK := -Wl,--gc-sections -Wl,-z,relro,-z,now
ifeq ($(WERROR),1)
BASE += -Werror
endif
ifeq ($(SANITIZE),1)
B := build/sanitize
STATIC := 0
BASE += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK += -fsanitize=address,undefined
endif
ifeq ($(STATIC),1)
LINK += -static
YAJL := -lyajl_s
else
YAJL := -lyajl
endif
LIBS := -lseccomp -lcap $(YAJL) -lm

FOLDERS := runtime/base runtime/stub spec ns cgroup seccomp selinux runtime
SRC := $(filter-out runtime/stub/stub.c,$(foreach d,$(FOLDERS),$(wildcard $(d)/*.c)))
OBJ := $(SRC:%.c=$(B)/%.o)
# What the unit tests link: all but main().
LIB := $(filter-out $(B)/runtime/main.o,$(OBJ))
FAULTS := $(SRC:%.c=$(B)/faults/%.o)
UNIT := spec seccomp cgroup steps ns selinux
MANUALS := bryo.1 bryo-config.5 bryo-steps.7

.PHONY: all demo check check-oci check-vm check-engines bench install clean test-programs lint

all: $(B)/bryo $(B)/bryo-export $(B)/bryo-scope

$(B)/bryo: $(OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $(OBJ) $(LIBS)

# What `bryo export` executes: with shared libraries, which bryo itself does without.
$(B)/bryo-export: runtime/export/export.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(LDFLAGS) $(filter-out -static,$(LINK)) -o $@ $< -larchive

# What bryo executes when systemd is to make the cgroup; likewise.
$(B)/bryo-scope: runtime/scope/scope.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) $(LDFLAGS) $(filter-out -static,$(LINK)) -o $@ $< -lsystemd

$(B)/runtime/base/helper.o $(B)/faults/runtime/base/helper.o: \
	BASE += -DBRYO_LIBEXEC='"$(LIBEXECDIR)"'
$(B)/runtime/rows_selinux.o $(B)/faults/runtime/rows_selinux.o: \
	BASE += -DBRYO_SYSCONF='"$(SYSCONFDIR)/bryo"'

# The same sources with the test hooks of runtime/walk.c; never installed.
$(B)/bryo-test: $(FAULTS)
	$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $(FAULTS) $(LIBS)

# The program between bryo and the payload: see runtime/stub/stub.c.
$(B)/stub.elf: runtime/stub/stub.c runtime/stub/stub.h runtime/stub/handover.h runtime/stub/stub.ld
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE -iquote . $(WARN) -Os -ffreestanding -fno-stack-protector \
		-fno-pic -no-pie -fno-asynchronous-unwind-tables -fcf-protection=none -nostdlib -static \
		-Wl,-T,runtime/stub/stub.ld -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

$(B)/runtime/stub/make.o $(B)/faults/runtime/stub/make.o: $(B)/stub.elf
$(B)/runtime/stub/make.o $(B)/faults/runtime/stub/make.o: BASE += -DSTUB_IMAGE='"$(B)/stub.elf"'

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/faults/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BASE) $(CFLAGS) -DBRYO_FAULTS -MMD -MP -c -o $@ $<

$(B)/runtime/main.o $(B)/faults/runtime/main.o: \
	BASE += -DBRYO_VERSION='"$(VERSION)"' -DBRYO_COMMIT='"$(COMMIT)"'

# tests/NAME/*.c make build/tests/NAME_test.
define unit_test
$(B)/tests/$(1)_test: $$(patsubst %.c,$(B)/%.o,$$(wildcard tests/$(1)/*.c)) $$(LIB)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) $$(filter-out -static,$$(LINK)) -o $$@ $$^ -lseccomp -lcap -lyajl -lm
-include $$(patsubst %.c,$(B)/%.d,$$(wildcard tests/$(1)/*.c))
endef
$(foreach t,$(UNIT),$(eval $(call unit_test,$(t))))

# The payload of the tests: nothing else has to be in the rootfs.
PROBE := $(wildcard tests/probe/*.c)
$(B)/tests/probe: $(PROBE) $(wildcard tests/probe/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -iquote . -O1 -static -o $@ $(PROBE)

test-programs: $(B)/bryo $(B)/bryo-export $(B)/bryo-scope $(B)/bryo-test $(B)/tests/probe $(UNIT:%=$(B)/tests/%_test)

clean:
	rm -rf build

-include $(OBJ:.o=.d) $(FAULTS:.o=.d)

# ---- what a person runs

# Installs what is missing from the distribution's packages, and says what.
demo:
	@sh tests/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@sh demo/demo.sh $(B)/bryo

check:
	@sh tests/deps.sh build check
	@$(MAKE) --no-print-directory test-programs
	@BRYO=$(B)/bryo BRYO_TEST=$(B)/bryo-test BRYO_BUILD=$(B) tests/run -j "$$(nproc)"

# The OCI runtime specification, line by line: bryo, and crun and runc where they are installed; build/oci.md.
check-oci:
	@sh tests/deps.sh build check
	@$(MAKE) --no-print-directory test-programs
	@BRYO=$(B)/bryo BRYO_TEST=$(B)/bryo-test BRYO_BUILD=$(B) tests/oci/run

# In a virtual machine with real controllers, systemd and SELinux enforcing; and in one with AppArmor.
check-vm:
	@sh tests/deps.sh build
	@sh tests/vm/check.sh -i
	@$(MAKE) --no-print-directory test-programs
	@BRYO_BUILD=$(B) sh tests/vm/check.sh
	@BRYO_BUILD=$(B) LSM=apparmor FAST=1 sh tests/vm/check.sh

# podman, buildah, containerd, docker and Slurm on top of bryo.
check-engines:
	@sh tests/deps.sh build engines
	@$(MAKE) --no-print-directory all $(B)/tests/probe
	@BRYO=$(B)/bryo BRYO_PROBE=$(CURDIR)/$(B)/tests/probe tests/engines/run

bench:
	@sh tests/deps.sh build bench
	@$(MAKE) --no-print-directory all
	@sh bench/run.sh

lint:
	@sh tests/deps.sh build lint
	@sh tests/lint/run.sh

install: $(B)/bryo $(B)/bryo-export $(B)/bryo-scope $(B)/bryo-scope
	install -D -m 0755 $(B)/bryo $(DESTDIR)$(PREFIX)/bin/bryo
	install -D -m 0755 $(B)/bryo-export $(DESTDIR)$(LIBEXECDIR)/bryo-export
	install -D -m 0755 $(B)/bryo-scope $(DESTDIR)$(LIBEXECDIR)/bryo-scope
	set -e; for m in $(MANUALS); do \
		install -D -m 0644 man/$$m $(DESTDIR)$(MANDIR)/man$${m##*.}/$$m; done
	install -d $(addprefix $(DESTDIR)$(DATADIR)/,$(dir $(BASHCOMP) $(ZSHCOMP) $(FISHCOMP)))
	$(B)/bryo completion bash >$(DESTDIR)$(DATADIR)/$(BASHCOMP)
	$(B)/bryo completion zsh >$(DESTDIR)$(DATADIR)/$(ZSHCOMP)
	$(B)/bryo completion fish >$(DESTDIR)$(DATADIR)/$(FISHCOMP)
