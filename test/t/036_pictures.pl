# The pictures of the README show what the quick start and the page of the flow have today.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

# What is written in a picture, without spaces: lines are broken where there is room.
sub writing
{
	my ($picture) = @_;
	my $text = slurp_file("doc/pictures/$picture");

	utf8::decode($text);
	$text =~ s/<style.*?<\/style>//gs;
	$text =~ s/<[^>]*>//g;
	$text =~ s/&lt;/</g;
	$text =~ s/&gt;/>/g;
	$text =~ s/&amp;/&/g;
	return $text =~ s/\s//gr;
}

sub shown
{
	my ($writing, $line, $name) = @_;

	ok(index($writing, $line =~ s/\s//gr) >= 0, $name);
	return;
}

my $quickstart = slurp_file('examples/quickstart.sh');
my $writing = writing('quickstart.svg');

utf8::decode($quickstart);
foreach my $part (qw(rolled committed))
{
	my ($title, $sql) = $quickstart =~ /play '([^']*\b$part\b[^']*)' <<-'SQL'\n(.*?)\n\tSQL/s;

	shown($writing, $_, "quickstart.svg: $_") foreach ($title, map { s/^\t+//r } split(/\n/, $sql));
}
shown($writing, "=> $_", "quickstart.svg: $_") foreach $quickstart =~ /\ttell '([^'\n]*)/g;

my ($diagram) = slurp_file('doc/flow.md') =~ /^```mermaid\n(.*?)^```/ms;

$writing = writing('flow.svg');
foreach my $label ($diagram =~ /"([^"]*)"/g)
{
	shown($writing, $label =~ s/<br\/>//gr, "flow.svg: $label");
}

done_testing();
