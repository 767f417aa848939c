# doc/errors.md has every message that domev raises, with its level and SQLSTATE, and no other; it explains every SQLSTATE that
# the functions' comments name.  Reads the sources, needs no server.
use strict;
use warnings;

use Test::More;

# SQLSTATE by the name of its macro, and how PL/pgSQL calls it.
my (%sqlstates, %conditions);

# A string or character of C, and parentheses with what is between them.
my $string = qr/"(?:\\.|[^"\\])*+"|'(?:\\.|[^'\\])*+'/s;
my $parens = qr/(?<parens>\((?:[^()"']++|$string|(?&parens))*+\))/;

sub slurp
{
	my ($path) = @_;

	open(my $file, '<:encoding(UTF-8)', $path) or die "$path: $!";
	local $/;
	return <$file>;
}

sub read_sqlstates
{
	my $include = `pg_config --includedir-server`;

	chomp $include;
	my $header = slurp("$include/utils/errcodes.h");
	while ($header =~ /^#define ERRCODE_(\w+) MAKE_SQLSTATE\(([^)]*)\)/mg)
	{
		my ($macro, $sqlstate) = ($1, $2 =~ tr/0-9A-Z//cdr);

		$sqlstates{$macro} = $sqlstate;
		$conditions{$sqlstate}{ lc($macro =~ s/^(?:[A-Z]_)+//r) } = 1;
	}
	return;
}

# ---------------------------------------------------------------------------------------------------------------------
# The code
# ---------------------------------------------------------------------------------------------------------------------

# C without comments, with as many lines.
sub uncomment
{
	my ($source) = @_;

	return $source =~ s{($string)|(/\*.*?\*/|//[^\n]*)}{$1 // $2 =~ tr/\n//cdr}gser;
}

# The text of errmsg(...), with % for what is put into it.
sub text_of
{
	my ($call) = @_;
	my ($format) = $call =~ /^\(\s*((?:$string|[A-Z0-9_]*(?:PRI|FORMAT)\w*|\s)+)[,)]/ or return 'a text that is not a string';
	my $text = join('', map { /^"(.*)"$/s ? $1 : '%llu' } $format =~ /$string|\w+/g);

	$text =~ s/%%llu/%llu/g;    # "%" PRIu64
	return $text =~ s/%[-#0 +']*[\d*]*(?:\.[\d*]+)?(?:hh?|ll?|[zjt])?[a-zA-Z]/%/gr =~ s/\\(.)/$1/gr;
}

# The SQLSTATEs of a report that may be at one of several levels.
sub sqlstates_of
{
	my ($call, $arguments, @levels) = @_;
	my @given = map { $sqlstates{$_} // "ERRCODE_$_, which is unknown," } $arguments =~ /\bERRCODE_(\w+)/g;

	return @given if @given;
	return 'of the cause' if $arguments =~ /\berrcode_for_file_access\b/;
	return map { $_ ne 'ERROR' ? ($_ eq 'WARNING' ? '01000' : '00000') : $call eq 'elog' ? 'XX000' : 'without errcode' } @levels;
}

# What a source raises: pairs of where and "LEVEL SQLSTATE text".  Each of these may be chosen by ?:, of one condition.
sub raised
{
	my ($name, $source) = @_;
	my @raised;

	$source = uncomment($source);
	while ($source =~ /\b(ereport|elog)\s*$parens/g)
	{
		my ($call, $inside, $start) = ($1, $+{parens}, $-[0]);
		my $where = "$name:" . (1 + (substr($source, 0, $start) =~ tr/\n//));
		my ($level, $arguments) = $inside =~ /^\(([^,]*),(.*)\)$/s;
		my @levels = $level =~ /\b(DEBUG[1-5]|LOG|COMMERROR|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC)\b/g;
		my @sqlstates = sqlstates_of($call, $arguments, @levels);
		my @texts;

		push @texts, text_of($+{parens}) while $arguments =~ /\berrmsg\w*\s*$parens/g;
		@texts = text_of("($arguments)") if $call eq 'elog';
		my ($count) = sort { $b <=> $a } scalar(@levels), scalar(@sqlstates), scalar(@texts);
		foreach my $i (0 .. $count - 1)
		{
			push @raised, [ $where, join(' ', map { $_->[ @$_ == 1 ? 0 : $i ] // '?' } \@levels, \@sqlstates, \@texts) ];
		}
	}
	return @raised;
}

# ---------------------------------------------------------------------------------------------------------------------
# The page and the comments
# ---------------------------------------------------------------------------------------------------------------------

# The rows of a table: "LEVEL SQLSTATE text", with % for <what is put into it>.
sub messages_of_section
{
	my ($section) = @_;
	my @messages;

	foreach my $row (grep { !/^\| message \|/ && !/^\|[-|]+$/ } $section =~ /^(\|.*)$/mg)
	{
		my ($text, $level, $sqlstate) = $row =~ /^\| `(.+?)` \| (?:([A-Z]+) )?([0-9A-Z]{5}|of the cause) \| /;

		push @messages, defined $text ? join(' ', $level // 'ERROR', $sqlstate, $text =~ s/<[^<>]*>/%/gr) : "a row that is not understood: $row";
	}
	return @messages;
}

# Each function and procedure of the script has a comment that says what it raises.
sub sqlstates_of_comments
{
	my ($sql) = @_;
	my @functions = $sql =~ /^CREATE (?:FUNCTION|PROCEDURE) /mg;
	my @comments = $sql =~ /^COMMENT ON (?:FUNCTION|PROCEDURE) .*? IS\s*'((?:[^']|'')*)';$/msg;
	my @raises = map { /\braises (.*)/s ? $1 : () } @comments;
	my @problems;

	push @problems, 'a function without a comment on what it raises' if @raises != @functions;
	push @problems, 'the script has RAISE, of which the page knows nothing' if $sql =~ /\bRAISE\b/;
	return (\@problems, map { /\b([0-9][0-9A-Z]{4}|XX[0-9A-Z]{3})\b/g } @raises);
}

# All that is not right.
sub problems
{
	my ($page, $sql, %sources) = @_;
	my @raised = map { raised($_, $sources{$_}) } sort keys %sources;
	my ($problems, @of_comments) = sqlstates_of_comments($sql);
	my @problems = @$problems;
	my (%on_page, %used, %explained);

	foreach my $section (split(/^(?=## )/m, $page))
	{
		my @messages = $section =~ /^## SQLSTATE/ ? () : messages_of_section($section);

		$used{ (split(' ', $_))[1] } = 1 foreach @messages;
		push @problems, grep { /^a row/ } @messages;
		$on_page{$_} = 1 foreach $section =~ /^## PostgreSQL/ ? () : grep { !/^a row/ } @messages;
		$explained{$1} = $2 while $section =~ /^\| ([0-9A-Z]{5}) \| (\w+) \| /mg;
	}
	my %in_code = map { $_->[1] => 1 } @raised;

	push @problems, map { "$_->[0]: not on the page: $_->[1]" } grep { !$on_page{ $_->[1] } } @raised;
	push @problems, map { "$_->[0]: $_->[1]" } grep { $_->[1] =~ /^ERROR without errcode/ } @raised;
	push @problems, map { "not in the code: $_" } grep { !$in_code{$_} } sort keys %on_page;
	delete @used{'of', 'row'};
	$used{$_} = 1 foreach @of_comments;
	push @problems, map { "not explained: $_" } grep { !$explained{$_} } sort keys %used;
	push @problems, map { "explained, but not used: $_" } grep { !$used{$_} } sort keys %explained;
	push @problems, map { "not a condition of PostgreSQL: $_ $explained{$_}" } grep { !$conditions{$_}{ $explained{$_} } } sort keys %explained;
	return @problems;
}

# ---------------------------------------------------------------------------------------------------------------------

read_sqlstates();
my $page = slurp('doc/errors.md');
my $sql = slurp('sql/domev.sql');
my %sources = map { $_ => slurp($_) } glob('src/*.[ch]');
my @problems = problems($page, $sql, %sources);

is(scalar(@problems), 0, 'page and code agree') or diag(join("\n", @problems));

# That nothing escapes: every text is in a report that was found, and there are many.
my @raised = map { raised($_, $sources{$_}) } keys %sources;
my $texts = () = join("\n", map { uncomment($_) } values %sources) =~ /\berrmsg\w*\s*\(|\belog\s*\(/g;
my %reports = map { $_->[0] => 1 } @raised;
cmp_ok(scalar(keys %reports), '>=', 90, 'reports in the code');
cmp_ok(scalar(@raised), '>=', $texts, 'texts in the code');
is(scalar(grep { $_->[1] =~ /\?/ } @raised), 0, 'each with level, SQLSTATE and text');

# What must turn it red: copies with one thing changed.
my $emit = $sources{'src/emit.c'};
foreach my $mutation (
	[ 'a message changed', qr{^src/emit\.c:\d+: not on the page: ERROR \w{5} altered }m, {}, $emit =~ s/errmsg\("/errmsg("altered /r ],
	[ 'an SQLSTATE changed', qr{^src/emit\.c:\d+: not on the page: ERROR 22012 }m, {}, $emit =~ s/ERRCODE_\w+/ERRCODE_DIVISION_BY_ZERO/r ],
	[ 'an SQLSTATE mistyped', qr{^src/emit\.c:\d+: not on the page: ERROR ERRCODE_NONE, which is unknown, }m, {}, $emit =~ s/ERRCODE_\w+/ERRCODE_NONE/r ],
	[ 'an errcode forgotten', qr{^src/emit\.c:\d+: ERROR without errcode }m, {}, $emit =~ s/errcode\(\w+\),//r ],
	[ 'a level changed', qr{^src/emit\.c:\d+: not on the page: WARNING }m, {}, $emit =~ s/ereport\(ERROR/ereport(WARNING/r ],
	[ 'a message taken away', qr{^not in the code: ERROR 25006 cannot emit an event during recovery$}m, {}, $emit =~ s/during recovery/during decline/r ],
	[ 'a row taken from the page', qr{^src/emit\.c:\d+: not on the page: ERROR 25006 cannot emit an event during recovery$}m,
		{ page => $page =~ s/^.*cannot emit an event during recovery.*\n//mr }, $emit ],
	[ 'a row with another SQLSTATE', qr{^not in the code: ERROR 22012 cannot emit an event during recovery$}m,
		{ page => $page =~ s/(cannot emit an event during recovery` \|) 25006/$1 22012/r }, $emit ],
	[ 'a condition with another name', qr{^not a condition of PostgreSQL: 25006 }m, { page => $page =~ s/^(\| 25006 \| \w+)/$1s/mr }, $emit ],
	[ 'a comment with what does not exist', qr{^not explained: 39P99$}m, { sql => $sql =~ s/raises 39P01/raises 39P99/r }, $emit ],
	[ 'a function without a comment', qr{^a function without}m, { sql => $sql =~ s/^COMMENT ON FUNCTION/COMMENT ON TABLE/mr }, $emit ],
)
{
	my ($what, $problem, $changed, $source) = @$mutation;

	like(join("\n", problems($changed->{page} // $page, $changed->{sql} // $sql, %sources, 'src/emit.c' => $source)), $problem, $what);
}

done_testing();
