#!/usr/bin/perl
# Publishes the events of a slot with DBD::Pg; README.md has the reasons.
use strict;
use warnings;

use DBI;
use IO::Select;
use IO::Socket::INET;

my ($user, $host, $port, $database) = $ENV{DOMEV_CONNECTION} =~ m{^postgresql://(.*)@(.*):(\d+)/(.*)$} or die 'what is DOMEV_CONNECTION?';
my $dbh = DBI->connect("dbi:Pg:dbname=$database;host=$host;port=$port;replication=database", $user, '', { RaiseError => 1, pg_enable_utf8 => 0 });
$dbh->do("START_REPLICATION SLOT $ENV{DOMEV_SLOT} LOGICAL 0/0");

my $broker;
my $safe = 0;    # all events up to this LSN are published
local $SIG{PIPE} = 'IGNORE';

# Standby status update: written, flushed and applied LSN, time, no reply wanted.
sub acknowledge
{
	$dbh->pg_putcopydata(pack('A1 Q>3 q> C', 'r', $safe, $safe, $safe, 0, 0));
}

# Returns when the broker has the event.
sub publish
{
	my ($event) = @_;
	my $answer = '';
	until ($answer eq "ok\n")
	{
		$broker ||= IO::Socket::INET->new($ENV{DOMEV_BROKER}) or select(undef, undef, undef, 0.1);
		if ($broker && $broker->print("$event\n") && $broker->flush)
		{
			acknowledge() until IO::Select->new($broker)->can_read(1);    # still here: else the server ends the connection
			$answer = $broker->getline // '';
		}
		$broker = undef if $answer eq '';
	}
}

while (1)
{
	die 'the stream has ended' if $dbh->pg_getcopydata(my $data) < 0;
	if (substr($data, 0, 1) eq 'k')    # keepalive: the server's position, its time, whether it wants a reply
	{
		$safe = unpack('x Q>', $data);
		acknowledge();
	}
	else                                  # data: its LSN, the server's position and time, the event
	{
		my ($lsn, $event) = unpack('x Q> x16 a*', $data);
		publish($event);
		$safe = $lsn if $lsn > $safe;
		acknowledge();
	}
}
