# ignyxd: `make run` tries it, `make check` tests it, `make help` lists the rest.
#
# Written by hand and static. What depends on the machine is in src/config.mk,
# which configure writes; it is made here when it is missing or older than its
# source. Everything built is under $(BUILD).

BUILD ?= build
DESTDIR ?=
.DEFAULT_GOAL := all
SETUP_GOALS := help deps deps-check clean distclean run check check-asan check-systemd check-bare coverage lint format \
	fuzz hostile chaos mutants conformance-autobahn bench bench-handshakes bench-guesses \
	bench-instructions

help:
	@echo "make               build $(BUILD)/ignyxd and $(BUILD)/ignyxctl"
	@echo "make run [PORT=9090]  set up, build, and run it on 127.0.0.1:8080"
	@echo "make check         set up, build, and run all tests"
	@echo "make check-asan    the same tests under AddressSanitizer and UBSan"
	@echo "make check-systemd the service under a real systemd (needs root)"
	@echo "make check-bare [RELEASE=trixie]  run, check, check-systemd in a bare Debian (needs root)"
	@echo "make fuzz [SECONDS=60]  every fuzz target for so long (clang)"
	@echo "make hostile [SECONDS=120]  attacks beside 200 clients that must not notice"
	@echo "make chaos [SECONDS=120]  workers die, stand still, come and go beside 400 clients that count"
	@echo "make mutants [ONLY=session]  small faults, put in one at a time: which test notices"
	@echo "make check-browser the five endpoints in a headless Chromium, where that is installed"
	@echo "make coverage [WITH=integration]  which lines and branches the tests run, by layer"
	@echo "make unit, make integration, make conformance, make lint, make format"
	@echo "make bench [BENCH_FLAGS=--quick]  what a message costs, beside floors and other servers,"
	@echo "                   and how long others wait meanwhile (BENCH_FLAGS=--beside: this alone)"
	@echo "make bench-instructions  the same in instructions, with the committed figures and bounds"
	@echo "make bench-handshakes  what one costs where it shows a JSON Web Token"
	@echo "make bench-guesses  whether time tells which users there are"
	@echo "make bench-codec   how fast frames are read on this machine"
	@echo "make conformance-autobahn URL=ws://...  Autobahn's cases, where wstest is installed"
	@echo "make deps          install what building needs; deps-check: and testing"
	@echo "make install [DESTDIR= prefix=], make uninstall, make clean, make distclean"

# These set the machine up first, then go on with what that made possible.
deps:
	@.ci/deps.sh build
deps-check:
	@.ci/deps.sh check
run:
	@.ci/deps.sh run
	@$(MAKE) --no-print-directory all
	@tests/run-sample.sh $(BUILD)/ignyxd conf/ignyxd.conf $(PORT)
check: deps-check
	@tests/check.sh plain
check-asan: deps-check
	@tests/check.sh asan
# GCOV: that of the compiler, where "gcov" is another one's.
coverage: deps-check
	@$(MAKE) --no-print-directory BUILD=build/coverage SANITIZE=coverage coverage-programs
	@/usr/bin/python3 tests/coverage/run.py build/coverage $(WITH)
check-systemd: deps
	@$(MAKE) --no-print-directory all
	@tests/systemd/check.sh

RELEASE ?= trixie
check-bare:
	@tests/bare/check.sh $(RELEASE)

SECONDS ?= 60
fuzz:
	@.ci/deps.sh fuzz
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang SANITIZE=fuzz fuzz-programs
	@tests/fuzz/run.sh $(abspath build/fuzz/fuzz) $(SECONDS)

# How long hostile and chaos take, where it was not said.
TIME = $(if $(filter file,$(origin SECONDS)),120,$(SECONDS))
# HOSTILE_FLAGS: attacks and --seed, see tests/hostile/run.py --help.
hostile:
	@.ci/deps.sh check
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/counters COUNTERS=yes all
	@IGNYXD=$(abspath $(BUILD))/counters/ignyxd /usr/bin/python3 tests/hostile/run.py \
		--seconds $(TIME) $(HOSTILE_FLAGS)

# CHAOS_FLAGS: --seed and --tight, see tests/chaos/run.py --help.
chaos:
	@.ci/deps.sh check
	@$(MAKE) --no-print-directory all
	@IGNYXD=$(abspath $(BUILD))/ignyxd /usr/bin/python3 tests/chaos/run.py \
		--seconds $(TIME) $(CHAOS_FLAGS)

# ONLY: layers and names of faults; MUTANTS_FLAGS: see tests/mutants/run.py --help.
mutants:
	@.ci/deps.sh check
	@tests/mutants/run.py $(MUTANTS_FLAGS) $(ONLY)

# BENCH_FLAGS: scenarios and options, see tests/bench/run.py --help.
bench:
	@.ci/deps.sh bench
	@$(MAKE) --no-print-directory all bench-programs
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/counters COUNTERS=yes all
	@BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/run.py $(BENCH_FLAGS)
bench-handshakes:
	@.ci/deps.sh check
	@$(MAKE) --no-print-directory all
	@BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/handshakes.py
# BENCH_FLAGS: --guesses and --seed, see tests/bench/guesses.py --help.
bench-guesses:
	@.ci/deps.sh check
	@$(MAKE) --no-print-directory all
	@BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/guesses.py $(BENCH_FLAGS)
bench-instructions:
	@.ci/deps.sh bench
	@$(MAKE) --no-print-directory all bench-programs
	@BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/instructions.py $(BENCH_FLAGS)
	@BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/wire.py

ifneq ($(filter-out $(SETUP_GOALS),$(or $(MAKECMDGOALS),all)),)
include src/config.mk
# A system's own prefix has its configuration in /etc.
ifeq ($(sysconfdir),/usr/etc)
override sysconfdir = /etc
endif
endif

# Where it has been configured before, it is with the arguments that it was given then.
src/config.mk: configure src/config.mk.in
	@.ci/deps.sh tell
	@echo "  CONFIGURE"
	@if test -x config.status && test -z "$(CONFIGURE_FLAGS)"; then \
		./config.status --quiet --recheck && ./config.status --quiet; \
	else ./configure --quiet $(CONFIGURE_FLAGS); fi
	@touch $@
# By force: autoconf takes what it made in the same second for new enough.
configure: configure.ac
	@.ci/deps.sh tell
	@echo "  AUTOCONF"
	@autoconf --force

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings
CPPFLAGS_ALL = -Isrc -D_GNU_SOURCE -DIGNYX_VERSION='"$(VERSION)"' \
	$(CONF_DEFINE) $(LIB_CFLAGS) $(CPPFLAGS)
ifeq ($(SANITIZE),yes)
HARDEN = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDEN_LINK = -fsanitize=address,undefined
CFLAGS ?= -O1 -g
else ifeq ($(SANITIZE),fuzz)
HARDEN = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
HARDEN_LINK = -fsanitize=address,undefined
FUZZ_MAIN = -fsanitize=fuzzer
CFLAGS ?= -O1 -g
else ifeq ($(SANITIZE),coverage)
HARDEN = -fPIE --coverage -fprofile-update=atomic
# see tests/coverage/dump.c
HARDEN_LINK = -pie --coverage -Wl,--wrap=_exit
CFLAGS ?= -O0 -g
EXTRA_base = $(BUILD)/obj/tests/coverage/dump.o
else
HARDEN = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
HARDEN_LINK = -pie -Wl,-z,relro,-z,now
CFLAGS ?= -O2 -g
CFLAGS_LTO = $(LTO)
endif
# For tests: how long turns are, see src/session/turn_counters.h.
ifeq ($(COUNTERS),yes)
CPPFLAGS_ALL += -DIGNYX_COUNTERS
endif
CFLAGS_ALL = -std=c11 $(WARNINGS) $(if $(filter yes,$(WERROR)),-Werror) $(HARDEN) $(CFLAGS)
# The whole program at once; a test links the layers that it uses as they are.
CFLAGS_DAEMON = $(CFLAGS_ALL) $(CFLAGS_LTO)
CFLAGS_TEST = $(CFLAGS_ALL) -fno-lto
LDFLAGS_ALL = $(HARDEN_LINK) -Wl,--as-needed $(LDFLAGS)

Q = $(if $(V),,@)
LAYERS = base proto bus config net session behaviours admin process
LIBS = $(LAYERS:%=$(BUILD)/lib%.a)
# A program of its own, for which libcurl is needed; without it there is none of this.
CTL = $(if $(CURL),ctl)
CTL_LIBS = $(CTL:%=$(BUILD)/libctl.a)
# A library may call those before it; behaviours are also called through their table.
LINK = -Wl,--start-group $(LIBS) -Wl,--end-group $(LIB_LIBS) -lpthread

SRCS = $(wildcard $(patsubst %,src/%/*.c,$(LAYERS) $(CTL))) src/main.c
OBJS = $(SRCS:%.c=$(BUILD)/obj/%.o)
FUZZ = $(patsubst tests/fuzz/corpus/%/,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/corpus/*/))
TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,\
	$(filter-out $(if $(CTL),,tests/unit/test_ctl_%),$(wildcard tests/unit/test_*.c)))

all: $(BUILD)/ignyxd $(CTL:%=$(BUILD)/ignyxctl)

$(BUILD)/ignyxd: $(BUILD)/obj/src/main.o $(LIBS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS_DAEMON) $(LDFLAGS_ALL) -o $@ $< $(LINK)

$(BUILD)/ignyxctl: $(BUILD)/obj/src/ctl/main.o $(BUILD)/libctl.a $(BUILD)/libbase.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS_DAEMON) $(LDFLAGS_ALL) -o $@ $^ $(CURL_LIBS) $(LIB_LIBS) -lm
$(BUILD)/obj/src/ctl/%.o: CPPFLAGS_ALL += $(CURL_CFLAGS)

define layer
$(BUILD)/lib$(1).a: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard src/$(1)/*.c)) $(EXTRA_$(1))
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS) $(CTL),$(eval $(call layer,$(l))))

$(BUILD)/obj/%.o: %.c src/config.mk Makefile
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_DAEMON) -MMD -MP -c -o $@ $<

# The one file that knows a path of the installation: built anew when that changes.
CONF_FILE = $(sysconfdir)/ignyx/ignyxd.conf
$(BUILD)/obj/src/main.o: CONF_DEFINE = -DIGNYX_CONF_FILE='"$(CONF_FILE)"'
$(BUILD)/obj/src/main.o: $(BUILD)/conf-file
$(BUILD)/conf-file: FORCE
	@mkdir -p $(@D)
	@echo '$(CONF_FILE)' | cmp -s - $@ || echo '$(CONF_FILE)' >$@

# What a test asks the system for can be made to fail: see tests/unit/failing.h.
FAILING = $(BUILD)/tests/unit/failing.o
FAILING_WRAP = $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc reallocarray strdup mmap mremap)
comma = ,
$(FAILING): tests/unit/failing.c tests/unit/failing.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_TEST) -c -o $@ $<

# Each unit test names the layers it may use in its first lines: "// links: base proto".
$(BUILD)/tests/unit/test_%: tests/unit/test_%.c $(LIBS) $(CTL_LIBS) $(FAILING)
	@mkdir -p $(@D)
	@echo "  TEST    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) -Itests/unit $(CFLAGS_TEST) $(LDFLAGS_ALL) $(FAILING_WRAP) -MMD -MP -o $@ $< \
		$(FAILING) \
		-Wl,--start-group $(foreach l,$(shell sed -n 's,^// links: ,,p' $<),$(BUILD)/lib$(l).a) \
		-Wl,--end-group -lcmocka $(CURL_LIBS) $(LIB_LIBS) -lpthread -lm
# A target with libFuzzer, or with a main that feeds it files.
FUZZ_MAIN ?= tests/fuzz/replay.c
$(BUILD)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c tests/fuzz/fuzz.h $(LIBS)
	@mkdir -p $(@D)
	@echo "  FUZZ    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) -Itests/fuzz $(CFLAGS_TEST) $(LDFLAGS_ALL) -o $@ $< $(FUZZ_MAIN) $(LINK)

$(BUILD)/tests/bench/codec $(BUILD)/tests/bench/wire: $(BUILD)/tests/bench/%: tests/bench/%.c $(LIBS)
	@mkdir -p $(@D)
	@echo "  BENCH   $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_TEST) $(LDFLAGS_ALL) -MMD -MP -o $@ $< \
		$(BUILD)/libproto.a $(BUILD)/libbase.a $(LIB_LIBS)
$(BUILD)/tests/bench/load: tests/bench/load.c tests/bench/client.c tests/bench/histogram.c \
		tests/bench/client.h tests/bench/histogram.h
	@mkdir -p $(@D)
	@echo "  BENCH   $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_TEST) $(LDFLAGS_ALL) -o $@ $(filter %.c,$^) -lssl -lcrypto -lz
$(BUILD)/tests/bench/floor: tests/bench/floor.c
	@mkdir -p $(@D)
	@echo "  BENCH   $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_TEST) $(LDFLAGS_ALL) -o $@ $< -lssl -lcrypto
$(BUILD)/tests/keys: tests/lint/keys.c $(LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_TEST) $(LDFLAGS_ALL) -o $@ $< $(LINK)

BENCH = $(addprefix $(BUILD)/tests/bench/,codec wire load floor)

unit-programs: $(TESTS) $(BENCH)
coverage-programs: all $(TESTS)
bench-programs: $(BENCH)
fuzz-programs: $(FUZZ)
unit: unit-programs
	@tests/unit/run.sh $(BUILD)/tests/unit
integration: all
	@IGNYXD=$(abspath $(BUILD))/ignyxd /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/integration
bench-codec: $(BUILD)/tests/bench/codec
	@$<
conformance: all
	@IGNYXD=$(abspath $(BUILD))/ignyxd /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/conformance
conformance-autobahn:
	@tests/conformance/autobahn.sh "$(URL)"
check-browser: all
	@IGNYXD=$(abspath $(BUILD))/ignyxd tests/browser/check.sh
keys: $(BUILD)/tests/keys

lint: deps-check
	@tests/lint/run.sh
format:
	@clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

define INSTALLED_CTL
$(if $(CTL),0755 $(BUILD)/ignyxctl $(bindir)/ignyxctl
0644 man/ignyxctl.8 $(mandir)/man8/ignyxctl.8
0644 conf/ignyxctl.bash $(datarootdir)/bash-completion/completions/ignyxctl)
endef
# MODE FILE TARGET of all that is installed, but for the configuration, which is the user's.
define INSTALLED
0755 $(BUILD)/ignyxd $(sbindir)/ignyxd
0644 man/ignyxd.8 $(mandir)/man8/ignyxd.8
0644 man/ignyxd.conf.5 $(mandir)/man5/ignyxd.conf.5
0644 man/ignyxd-api.7 $(mandir)/man7/ignyxd-api.7
0644 man/ignyxd-metrics.7 $(mandir)/man7/ignyxd-metrics.7
0644 man/ignyxd-protocol.7 $(mandir)/man7/ignyxd-protocol.7
0644 conf/ignyxd.conf $(docdir)/ignyxd.conf.sample
0644 conf/ignyxd.rules.yml $(docdir)/ignyxd.rules.yml
0644 conf/ignyxd.dashboard.json $(docdir)/ignyxd.dashboard.json
0644 $(BUILD)/ignyxd.service $(unitdir)/ignyxd.service
0644 systemd/ignyxd.socket $(unitdir)/ignyxd.socket
0644 systemd/ignyxd.sysusers $(sysusersdir)/ignyxd.conf
0644 systemd/ignyxd.catalog $(catalogdir)/ignyxd.catalog
$(INSTALLED_CTL)
endef
export INSTALLED

$(BUILD)/ignyxd.service: systemd/ignyxd.service.in FORCE
	@sed 's,@sbindir@,$(sbindir),' $< >$@

install: all $(BUILD)/ignyxd.service
	@echo "$$INSTALLED" | grep . | while read -r mode file target; do \
		echo "  INSTALL $(DESTDIR)$$target"; \
		install -D -m $$mode $$file "$(DESTDIR)$$target" || exit 1; done
	@test -e "$(DESTDIR)$(CONF_FILE)" || { echo "  INSTALL $(DESTDIR)$(CONF_FILE)"; \
		install -D -m 0644 conf/ignyxd.conf "$(DESTDIR)$(CONF_FILE)"; }
	@echo "ignyxd $(VERSION) is $(sbindir)/ignyxd now, and reads $(CONF_FILE)$(if $(DESTDIR), (in $(DESTDIR)))"
	@DESTDIR="$(DESTDIR)" systemd/elsewhere.sh "$(sbindir)" "$(unitdir)"

uninstall:
	@echo "$$INSTALLED" | grep . | while read -r mode file target; do \
		echo "  REMOVE  $(DESTDIR)$$target"; rm -f "$(DESTDIR)$$target"; done
	@! test -d "$(DESTDIR)$(docdir)" || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(docdir)"
	@test ! -e "$(DESTDIR)$(CONF_FILE)" || echo "  KEEP    $(DESTDIR)$(CONF_FILE)"

clean:
	rm -rf build/obj build/asan build/counters build/coverage build/fuzz build/tests build/*.a build/ignyxd build/ignyxctl build/ignyxd.service build/conf-file
distclean:
	rm -rf build configure autom4te.cache config.log config.status src/config.mk

.PHONY: FORCE all help deps deps-check run check check-asan check-systemd check-bare coverage \
	coverage-programs unit unit-programs \
	fuzz fuzz-programs integration keys lint format install uninstall clean distclean bench-codec \
	conformance conformance-autobahn check-browser hostile chaos mutants bench bench-instructions bench-programs
-include $(OBJS:.o=.d) $(TESTS:=.d) $(BUILD)/tests/bench/codec.d $(BUILD)/tests/bench/wire.d
