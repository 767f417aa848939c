# domev: domain events and integration events inside PostgreSQL

EXTENSION = domev
MODULE_big = domev
# The version is written once, in the control file.
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" domev.control)

OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c))
HEADERS = src/domev.h
# The first release's script, frozen by release.sh, from which deltas lead to every later one; empty until there is one.
BASE =
DATA = $(addprefix sql/domev--,$(addsuffix .sql,$(BASE))) $(wildcard sql/domev--*--*.sql)
# The present version's is a copy of the living script, unless it is that base.
DATA_built = $(filter-out $(DATA),sql/domev--$(EXTVERSION).sql)
EXTRA_CLEAN = tmp_check tmp_instance output_iso results test/domev.conf log
PG_CPPFLAGS = -DDOMEV_VERSION='"$(EXTVERSION)"'

# "make installcheck" needs an installed domev and nothing else: every kind of test starts servers of its own.
# pg_regress finds test/sql and expected/ on every version with --inputdir alone; so no test may be named like a file in sql/.
CLUSTER = --temp-instance=./tmp_instance --temp-config=test/domev.conf
REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test $(CLUSTER)
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation $(CLUSTER)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS tracks no headers unless the server was configured to.
$(OBJS): $(wildcard src/*.h)

ifneq ($(DATA_built),)
$(DATA_built): sql/domev.sql
	cp $< $@
endif

# What goes to PGXN, of the last commit; .gitattributes says what stays at home.
dist:
	git archive --format=zip --prefix=domev-$(EXTVERSION)/ --output=domev-$(EXTVERSION).zip HEAD
.PHONY: dist

# The servers' configuration depends on the server: older minor releases do not start with output_plugin_libraries.
# Autovacuum stays on, but does not come: an ANALYZE has an xid, at which poll stops, and a lock, for which maintain does not wait long.
installcheck: test/domev.conf
test/domev.conf: test/make-conf.sh
	sh test/make-conf.sh "$(bindir)" >$@
	echo "autovacuum_naptime = '1d'" >>$@
