# domev: domain events and integration events inside PostgreSQL

EXTENSION = domev
MODULE_big = domev
# The version is written once, in the control file.
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" domev.control)

OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c))
HEADERS = src/domev.h
DATA_built = sql/domev--$(EXTVERSION).sql
EXTRA_CLEAN = sql/domev--$(EXTVERSION).sql tmp_check tmp_instance output_iso results test/domev.conf log
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

sql/domev--$(EXTVERSION).sql: sql/domev.sql
	cp $< $@

# The servers' configuration depends on the server: older minor releases do not start with output_plugin_libraries.
installcheck: test/domev.conf
test/domev.conf: test/make-conf.sh
	sh test/make-conf.sh "$(bindir)" >$@
