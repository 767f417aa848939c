# Which client is Perl's DBD::Pg, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2154

what() { /usr/bin/perl -MDBD::Pg -e 'print "DBD::Pg $DBD::Pg::VERSION, DBI $DBI::VERSION, Perl $^V\n"'; }

prepare() { need_packages perl libdbd-pg-perl; }

publisher() { echo "exec /usr/bin/perl $folder/publish.pl"; }
